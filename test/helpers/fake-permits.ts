import { type Hex, recoverTypedDataAddress } from "viem";
import { z } from "zod";
import { facilitator, proxy, typedPermit } from "../edge/x402/whole-permit.ts";
import { settings } from "../edge/x402/whole-wire.ts";

const requirements = {
  scheme: z.literal("upto"),
  network: z.literal(settings.network),
  amount: z.string(),
  asset: z.literal(settings.asset),
  payTo: z.literal(settings.payTo),
  maxTimeoutSeconds: z.number(),
  extra: z.strictObject({
    name: z.string(),
    version: z.string(),
    assetTransferMethod: z.literal("permit2"),
    facilitatorAddress: z.literal(facilitator),
  }),
};

/** What a facilitator is asked of a permit, as the protocol has it. */
export const permitAskSchema = z.strictObject({
  x402Version: z.literal(2),
  paymentPayload: z.strictObject({
    x402Version: z.literal(2),
    accepted: z.strictObject(requirements),
    payload: z.strictObject({
      signature: z.string(),
      permit2Authorization: z.strictObject({
        from: z.string(),
        permitted: z.strictObject({ token: z.string(), amount: z.string() }),
        spender: z.string(),
        nonce: z.string(),
        deadline: z.string(),
        witness: z.strictObject({
          to: z.string(),
          facilitator: z.string(),
          validAfter: z.string(),
        }),
      }),
    }),
  }),
  paymentRequirements: z.strictObject(requirements),
});
export type PermitAsk = z.infer<typeof permitAskSchema>;

/** What the two contracts would look at: the whole of what was signed is asked, or a part of it. */
export async function isGoodPermit(ask: PermitAsk, what: "whole" | "part"): Promise<boolean> {
  const { signature, permit2Authorization: permit } = ask.paymentPayload.payload;
  const typed = { ...typedPermit(permit), signature: signature as Hex };
  const signer = await recoverTypedDataAddress(typed);
  const asked = BigInt(ask.paymentRequirements.amount);
  const most = BigInt(permit.permitted.amount);
  return (
    signer.toLowerCase() === permit.from &&
    permit.spender === proxy.toLowerCase() &&
    permit.witness.to === settings.payTo &&
    permit.witness.facilitator === facilitator &&
    ask.paymentPayload.accepted.amount === permit.permitted.amount &&
    (what === "whole" ? asked === most : asked > 0n && asked <= most) &&
    Number(permit.deadline) > Date.now() / 1_000
  );
}
