import type { Hex } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { uptoRequirementsOf } from "../../../edge/x402/requirements.ts";
import { presentedPermitSchema } from "../../../edge/x402/wire.ts";
import { nowS, settings } from "./whole-wire.ts";

export const facilitator = settings.uptoFacilitator ?? "";

/** The two contracts, as the published client (@x402/evm 2.27.0) writes them. */
const permit2 = "0x000000000022D473030F116dDEE9F6B43aC78BA3";
export const proxy = "0x4020A4f3b7b90ccA423B9fabCc0CE57C6C240002";

export const permitTypes = {
  PermitWitnessTransferFrom: [
    { name: "permitted", type: "TokenPermissions" },
    { name: "spender", type: "address" },
    { name: "nonce", type: "uint256" },
    { name: "deadline", type: "uint256" },
    { name: "witness", type: "Witness" },
  ],
  TokenPermissions: [
    { name: "token", type: "address" },
    { name: "amount", type: "uint256" },
  ],
  Witness: [
    { name: "to", type: "address" },
    { name: "facilitator", type: "address" },
    { name: "validAfter", type: "uint256" },
  ],
} as const;

/** A permit as it goes over the wire. */
export interface WirePermit {
  readonly from: string;
  readonly permitted: { readonly token: string; readonly amount: string };
  readonly spender: string;
  readonly nonce: string;
  readonly deadline: string;
  readonly witness: {
    readonly to: string;
    readonly facilitator: string;
    readonly validAfter: string;
  };
}

/** What is signed of a permit, for viem. */
export function typedPermit(permit: WirePermit, chainId = settings.chainId) {
  const { permitted, spender, nonce, deadline, witness } = permit;
  return {
    domain: { name: "Permit2", chainId: Number(chainId), verifyingContract: permit2 },
    types: permitTypes,
    primaryType: "PermitWitnessTransferFrom",
    message: {
      permitted: { token: permitted.token as Hex, amount: BigInt(permitted.amount) },
      spender: spender as Hex,
      nonce: BigInt(nonce),
      deadline: BigInt(deadline),
      witness: {
        to: witness.to as Hex,
        facilitator: witness.facilitator as Hex,
        validAfter: BigInt(witness.validAfter),
      },
    },
  } as const;
}

/** What may be wrong about a permit. */
export interface PermitChange extends Partial<Omit<WirePermit, "permitted" | "witness">> {
  readonly amount?: string;
  readonly token?: string;
  readonly witness?: Partial<WirePermit["witness"]>;
}

/** What the published client signs, with whatever is to be wrong about it. */
export async function signedPermit(
  { amount = "1000", token = settings.asset, witness = {}, ...change }: PermitChange = {},
  key = generatePrivateKey(),
) {
  const account = privateKeyToAccount(key);
  const permit2Authorization: WirePermit = {
    from: account.address,
    permitted: { token, amount },
    spender: proxy,
    nonce: BigInt(generatePrivateKey()).toString(),
    deadline: `${nowS + 3_600n}`,
    ...change,
    witness: { to: settings.payTo, facilitator, validAfter: "0", ...witness },
  };
  const signature = await account.signTypedData(typedPermit(permit2Authorization));
  return { signature: signature as string, permit2Authorization };
}

/** A whole header's JSON for a signed permit. */
export function presentedPermitOf(
  payload: Awaited<ReturnType<typeof signedPermit>>,
  accepted: Record<string, unknown> = {},
) {
  const { amount } = payload.permit2Authorization.permitted;
  const asked = uptoRequirementsOf(settings, facilitator, BigInt(amount));
  return presentedPermitSchema.parse({
    x402Version: 2,
    resource: { url: "https://edge.test/v1/chat/completions" },
    accepted: { ...asked, ...accepted },
    payload,
  });
}
