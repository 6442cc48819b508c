import { recoverAddress } from "./recover.ts";
import { whyNotAsAsked } from "./requirements.ts";
import type { X402Settings } from "./settings.ts";
import { authorizationDigest } from "./typed-data.ts";
import type { Presented } from "./wire.ts";

/** A settlement takes some seconds: what ends before it would only be refused by the token. */
const marginS = 6n;

/** Why an authorization cannot be taken, as far as that can be told from itself; null if it can. */
export function whyNotGood(
  presented: Presented,
  settings: X402Settings,
  nowMs: number,
): string | null {
  const otherwise = whyNotAsAsked(presented, settings);
  if (otherwise !== null) return otherwise;
  const { authorization, signature } = presented.payload;
  const nowS = BigInt(Math.floor(nowMs / 1_000));
  if (authorization.validAfter > nowS) return "it is not valid yet";
  if (authorization.validBefore < nowS + marginS) return "it has expired, or is about to";
  const signer = recoverAddress(authorizationDigest(settings, authorization), signature);
  if (signer !== authorization.from) return `it is not signed by ${authorization.from}`;
  return null;
}
