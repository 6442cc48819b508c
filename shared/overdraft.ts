/**
 * Whether a balance below zero is one that may be: what an account has to spend, in credit, where
 * its object forgot its holds while tasks were in flight. All others of the ledger but the mint
 * stay at zero or above.
 */
export function isOverdraft(of: { readonly book: string; readonly asset: string }): boolean {
  return of.asset === "CREDIT" && /^acct_[^:]+:available$/.test(of.book);
}
