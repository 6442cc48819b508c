/**
 * Whether an account may decide anything: one that took money before it was opened waits, and one
 * that was opened anew though the ledger has a journal of it has lost what it knew. Its transfers
 * would fork that journal, so that an operator restores it first (restoring/restore-state.ts).
 */
export const standings = ["open", "waiting", "lost"] as const;
export type Standing = (typeof standings)[number];

/** Why an account that has lost its books does nothing. */
export function lost({ accountId }: { readonly accountId: string }) {
  const reason = `${accountId} has lost its books; an operator has to restore it`;
  return { kind: "refused", code: "unavailable", reason } as const;
}
