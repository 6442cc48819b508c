import type { Hex } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { presentedSchema } from "../../../edge/x402/wire.ts";
import type { X402Settings } from "../../../edge/x402/settings.ts";
import { requirementsOf } from "../../../edge/x402/requirements.ts";

export const settings: X402Settings = {
  network: "eip155:84532",
  chainId: 84_532n,
  payTo: "0x209693bc6afc0c5328ba36faf03c514ef312287c",
  asset: "0x036cbd53842c5426634e7929541ec2318f3dcf7e",
  assetName: "USDC",
  assetVersion: "2",
  facilitatorUrl: "https://facilitator.test",
};

export const nowS = 1_800_000_000n;

/** What the published client signs, with whatever is to be wrong about it. */
export async function signed(change: Record<string, unknown> = {}, key = generatePrivateKey()) {
  const account = privateKeyToAccount(key);
  const message = {
    from: account.address as string,
    to: settings.payTo,
    value: "1000",
    validAfter: "0",
    validBefore: `${nowS + 300n}`,
    nonce: generatePrivateKey() as string,
    ...change,
  };
  const signature = await account.signTypedData({
    domain: {
      name: settings.assetName,
      version: settings.assetVersion,
      chainId: Number(settings.chainId),
      verifyingContract: settings.asset as Hex,
    },
    types: authorizationTypes,
    primaryType: "TransferWithAuthorization",
    message: {
      from: message.from as Hex,
      to: message.to as Hex,
      value: BigInt(message.value),
      validAfter: BigInt(message.validAfter),
      validBefore: BigInt(message.validBefore),
      nonce: message.nonce as Hex,
    },
  });
  return { signature, authorization: message };
}

export const authorizationTypes = {
  TransferWithAuthorization: [
    { name: "from", type: "address" },
    { name: "to", type: "address" },
    { name: "value", type: "uint256" },
    { name: "validAfter", type: "uint256" },
    { name: "validBefore", type: "uint256" },
    { name: "nonce", type: "bytes32" },
  ],
} as const;

/** A whole header's JSON for a signed authorization. */
export function presentedOf(
  payload: Awaited<ReturnType<typeof signed>>,
  accepted: Record<string, unknown> = {},
) {
  const asked = requirementsOf(settings, BigInt(payload.authorization.value));
  return presentedSchema.parse({
    x402Version: 2,
    resource: { url: "https://edge.test/v1/chat/completions" },
    accepted: { ...asked, ...accepted },
    payload,
  });
}
