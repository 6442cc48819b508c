import { base62, sha256, utf8 } from "../../shared/crypto/bytes.ts";
import type { X402Settings } from "./settings.ts";
import type { TransferAuthorization } from "./wire.ts";

/** What stands in an API key's place; being no key's id, nobody can send it. */
export const guestKeyId = "x402";

/** The account of whoever pays from an address: the same for the same address of the same chain. */
export async function payerAccountId(network: string, address: string): Promise<string> {
  const hash = await sha256(utf8(`x402:${network}:${address}`));
  // As many digits as any account's id; 128 bits fit them.
  return `acct_${base62(hash.subarray(0, 16), 22)}`;
}

/**
 * What a token's transfer is called in the books: tokens take a nonce once from each owner, so this
 * names one transfer for ever.
 */
export function purchaseId(
  { network, asset }: X402Settings,
  { from, nonce }: TransferAuthorization,
): string {
  return `x402:${network}:${asset}:${from}:${nonce}`;
}
