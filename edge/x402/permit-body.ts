import { z } from "zod";
import { uptoRequirementsOf } from "./requirements.ts";
import type { X402Settings } from "./settings.ts";
import type { PresentedPermit } from "./wire.ts";

/** What a facilitator takes: the permit as it was signed, and what we ask, all of it so far. */
export function permitBody(
  settings: X402Settings,
  facilitator: string,
  { accepted, payload }: PresentedPermit,
): string {
  const { signature, permit2Authorization: permit } = payload;
  const { permitted, nonce, deadline, witness } = permit;
  const asked = uptoRequirementsOf(settings, facilitator, accepted.amount);
  return JSON.stringify({
    x402Version: 2,
    paymentPayload: {
      x402Version: 2,
      accepted: asked,
      payload: {
        signature,
        permit2Authorization: {
          ...permit,
          permitted: { token: permitted.token, amount: `${permitted.amount}` },
          nonce: `${nonce}`,
          deadline: `${deadline}`,
          witness: { ...witness, validAfter: `${witness.validAfter}` },
        },
      },
    },
    paymentRequirements: asked,
  });
}

const bodySchema = z.looseObject({
  paymentRequirements: z.looseObject({ amount: z.string() }),
});

/** The same body, to settle so much of what was signed. */
export function settlingOnly(body: string, micros: bigint): string {
  const { paymentRequirements, ...rest } = bodySchema.parse(JSON.parse(body));
  const asked = { ...paymentRequirements, amount: `${micros}` };
  return JSON.stringify({ ...rest, paymentRequirements: asked });
}
