import type { ReceiptSubmit } from "../../../shared/protocol/session.ts";
import { TicketSeal } from "../../billing/ticket.ts";
import { type Config, edgeSigningKey } from "../../env.ts";
import type { Session } from "../hub-state.ts";
import type { Settler } from "./settler.ts";
import { readSubmission } from "./submitted-receipt.ts";

/** Settles what a worker brings back of tasks whose hub was lost, and says what it may forget. */
export async function takeReturnedReceipts(
  frame: ReceiptSubmit,
  session: Session,
  hub: {
    readonly config: Config;
    readonly startedMs: number;
    readonly settler: Settler;
    readonly acknowledge: (workerId: string, attempts: readonly string[]) => void;
  },
): Promise<void> {
  const context = {
    session,
    seal: new TicketSeal(hub.config.ticketSecret),
    edgeKey: await edgeSigningKey(hub.config),
    hubStartedMs: hub.startedMs,
    nowMs: Date.now(),
  };
  for (const entry of frame.entries) {
    const submission = await readSubmission(entry, context);
    if (submission.kind === "close") hub.settler.submit(submission.closing, entry.signed);
    else hub.acknowledge(session.workerId, [entry.signed.receipt.attempt]);
  }
}
