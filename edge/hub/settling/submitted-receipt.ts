import type { ReceiptSubmit } from "../../../shared/protocol/session.ts";
import type { SigningKey } from "../../../shared/crypto/signing.ts";
import { countersign, verifyReceipt } from "../../../shared/protocol/receipt.ts";
import type { TaskClosing } from "../../billing/closing.ts";
import type { TicketSeal } from "../../billing/ticket.ts";
import { isPayable, recoveredClosing } from "./closing-of.ts";
import type { Session } from "../hub-state.ts";

type Entry = ReceiptSubmit["entries"][number];

/** What to do with a receipt that a worker brings back. */
export type Submission =
  /** Its task is paid under it, unless the account has closed the task already. */
  | { readonly kind: "close"; readonly closing: TaskClosing }
  /** It can never be paid: the worker need not keep it. */
  | { readonly kind: "drop" };

/**
 * Reads a receipt that was never acknowledged because its hub was lost. Only whole answers are paid
 * this way: of a broken one nobody can tell any more how much of it was relayed.
 */
export async function readSubmission(
  entry: Entry,
  context: {
    readonly session: Session;
    readonly seal: TicketSeal;
    readonly edgeKey: SigningKey;
    readonly hubStartedMs: number;
    readonly nowMs: number;
  },
): Promise<Submission> {
  const { signed } = entry;
  const { session, edgeKey, hubStartedMs, nowMs } = context;
  const terms = await context.seal.open(entry.ticket);
  if (terms === null) return { kind: "drop" };
  const { workerId, accountId } = session;
  const hub = { workerId, accountId, hubStartedMs };
  if (!isPayable(signed.receipt, terms, hub) || !(await verifyReceipt(signed))) {
    return { kind: "drop" };
  }
  const edgeSignature = await countersign(signed, edgeKey);
  const from = { session, nowMs, edgeKey: edgeKey.publicKey, edgeSignature };
  return { kind: "close", closing: recoveredClosing(signed, terms, from) };
}
