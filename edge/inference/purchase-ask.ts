import { assert } from "../../shared/assert.ts";
import type { PurchaseAsk } from "../billing/purchases/purchase-answers.ts";
import { holdMs } from "../billing/ticket.ts";
import { permitId, purchaseId } from "../x402/payer.ts";
import { permitBody } from "../x402/permit-body.ts";
import { requirementsOf } from "../x402/requirements.ts";
import type { X402Settings } from "../x402/settings.ts";
import { whyNotGood } from "../x402/why-not-good.ts";
import { whyNotPromised } from "../x402/why-not-promised.ts";
import { isPermit, type Presented, type PresentedPermit } from "../x402/wire.ts";
import type { Plan } from "./plan-task.ts";

/** Why what is presented cannot be taken, of either scheme; null where it can. */
export function whyNotTaken(
  presented: Presented | PresentedPermit,
  settings: X402Settings,
  nowMs: number,
): string | null {
  if (isPermit(presented)) return whyNotPromised(presented, settings, { nowMs, taskMs: holdMs });
  return whyNotGood(presented, settings, nowMs);
}

/** What its payer's Account is asked, for what can be taken. */
export function askOf(
  settings: X402Settings,
  presented: Presented | PresentedPermit,
  { task }: Plan,
): PurchaseAsk {
  const { limit, expires_ms: expiresMs } = task.terms;
  const ofTask = { accountId: task.accountId, taskId: task.id, limit: BigInt(limit), expiresMs };
  if (isPermit(presented)) {
    const permit = presented.payload.permit2Authorization;
    assert(settings.uptoFacilitator !== null, "what is not offered cannot be taken");
    return {
      ...ofTask,
      scheme: "upto",
      id: permitId(settings, permit),
      payer: permit.from,
      micros: permit.permitted.amount,
      body: permitBody(settings, settings.uptoFacilitator, presented),
      untilMs: untilMsOf(permit.deadline),
    };
  }
  const { authorization } = presented.payload;
  return {
    ...ofTask,
    scheme: "exact",
    id: purchaseId(settings, authorization),
    payer: authorization.from,
    micros: authorization.value,
    body: settleBody(settings, presented),
    untilMs: untilMsOf(authorization.validBefore),
  };
}

/** One that is good for ever is remembered as long as numbers last. */
function untilMsOf(untilS: bigint): number {
  return Number(untilS < 8_640_000_000_000n ? untilS : 8_640_000_000_000n) * 1_000;
}

/** What a facilitator takes: the authorization as it was signed, and what we ask. */
function settleBody(settings: X402Settings, { accepted, payload }: Presented): string {
  const { signature, authorization } = payload;
  const { from, to, value, validAfter, validBefore, nonce } = authorization;
  const decimal = { value: `${value}`, validAfter: `${validAfter}`, validBefore: `${validBefore}` };
  const asked = requirementsOf(settings, accepted.amount);
  return JSON.stringify({
    x402Version: 2,
    paymentPayload: {
      x402Version: 2,
      accepted: asked,
      payload: { signature, authorization: { from, to, ...decimal, nonce } },
    },
    paymentRequirements: asked,
  });
}
