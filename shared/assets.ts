/**
 * What the ledger counts, each in millionths: the credit that pays for inference, the network's
 * token, and the role tokens of compute, bandwidth, storage, orchestration, wholesale, marketing,
 * development and participation.
 */
export const assets = [
  "CREDIT",
  "OCTO",
  "OCTO-A",
  "OCTO-B",
  "OCTO-S",
  "OCTO-O",
  "OCTO-W",
  "OCTO-M",
  "OCTO-D",
  "OCTO-N",
] as const;
export type Asset = (typeof assets)[number];

/** What an account's own money is to it; each is an account of the ledger: `acct_…:earned`. */
export const buckets = ["available", "held", "earned", "disputed", "stake"] as const;
export type Bucket = (typeof buckets)[number];

/** The network's own accounts of the ledger. Only `mint` may go below zero: it is all there is. */
export const systemBooks = {
  mint: "system:mint",
  orchestrator: "system:orchestrator",
  treasury: "system:treasury",
  burn: "system:burn",
  stakers: "system:stakers",
  payouts: "system:payouts",
} as const;

/** The ledger account of what an account has in a bucket. */
export function bookOf(accountId: string, bucket: Bucket): string {
  return `${accountId}:${bucket}`;
}

const ownedBookPattern = new RegExp(`^(acct_[0-9A-Za-z]{22,43}):(${buckets.join("|")})$`);

/** Whose ledger account this is and which bucket of theirs; null for one of the network's own. */
export function ownerOf(
  book: string,
): { readonly accountId: string; readonly bucket: Bucket } | null {
  const [, accountId, bucket] = ownedBookPattern.exec(book) ?? [];
  if (accountId === undefined || bucket === undefined) return null;
  return { accountId, bucket: bucket as Bucket };
}
