import { permitDigest, uptoProxy } from "./permit2.ts";
import { recoverAddress } from "./recover.ts";
import { whyNotAccepted } from "./requirements.ts";
import type { X402Settings } from "./settings.ts";
import type { PresentedPermit } from "./wire.ts";

/** A facilitator may be away for so long when the task has ended. */
const marginMs = 5 * 60_000;

/**
 * Why a permit cannot be taken, as far as that can be told from itself; null if it can. It is
 * settled after a task of up to `taskMs`: what ended before that would be work for nothing.
 */
export function whyNotPromised(
  presented: PresentedPermit,
  settings: X402Settings,
  { nowMs, taskMs }: { readonly nowMs: number; readonly taskMs: number },
): string | null {
  const { signature, permit2Authorization: permit } = presented.payload;
  const otherwise = whyNotOurs(presented, settings);
  if (otherwise !== null) return otherwise;
  const nowS = BigInt(Math.floor(nowMs / 1_000));
  if (permit.witness.validAfter > nowS) return "it is not valid yet";
  const goodForS = BigInt(Math.ceil((taskMs + marginMs) / 1_000));
  if (permit.deadline < nowS + goodForS) {
    return `it must be good for ${goodForS} seconds: it is settled after the answer`;
  }
  const signer = recoverAddress(permitDigest(settings.chainId, permit), signature);
  if (signer !== permit.from) return `it is not signed by ${permit.from}`;
  return null;
}

function whyNotOurs({ accepted, payload }: PresentedPermit, settings: X402Settings): string | null {
  const { asset, payTo, uptoFacilitator } = settings;
  const { permitted, spender, witness } = payload.permit2Authorization;
  if (uptoFacilitator === null) return "the scheme upto is not offered";
  const otherwise = whyNotAccepted(accepted, settings, "upto");
  if (otherwise !== null) return otherwise;
  if (spender !== uptoProxy) return `the spender must be ${uptoProxy}, not ${spender}`;
  if (permitted.token !== asset) return `it is signed for the token ${permitted.token}`;
  if (witness.to !== payTo) return `it is signed for ${witness.to}, not ${payTo}`;
  if (witness.facilitator !== uptoFacilitator) {
    return `the facilitator must be ${uptoFacilitator}, not ${witness.facilitator}`;
  }
  if (permitted.amount !== accepted.amount) {
    return `it is signed for ${permitted.amount}, and ${accepted.amount} was accepted`;
  }
  return null;
}
