import type { Receipt, SignedReceipt } from "../../shared/protocol/receipt.ts";
import type { CountersignedReceipt, TaskClosing } from "../billing/closing.ts";
import type { Terms } from "../billing/ticket.ts";
import { recordOf, type Session, type TaskEnding } from "./hub-state.ts";

/**
 * What the check of an ended task's receipt found: nothing to check, a false one, or a
 * countersigned one.
 */
export type CheckedReceipt = CountersignedReceipt | "false" | null;

/** How the books of a task that ended on this hub are closed. */
export function closingOf(ending: TaskEnding, checked: CheckedReceipt): TaskClosing {
  const { terms } = ending.entry.task;
  if (ending.kind === "failed") return { kind: "void", terms, record: recordOf(ending, null) };
  if (checked === "false") {
    const record = { ...recordOf(ending, null), finish: "receipt_invalid" };
    return { kind: "void", terms, record };
  }
  return {
    kind: "post",
    terms,
    record: recordOf(ending, checked),
    providerAccountId: ending.attempt.session.accountId,
    counts: ending.counts,
    price: ending.price,
    isRecovered: false,
  };
}

/**
 * Whether a receipt that a worker brings back may be paid at all; its signature is judged apart.
 * `hubStartedMs` tells lost hubs from this one, which remembers its own tasks and has settled or
 * refused them.
 */
export function isPayable(
  receipt: Receipt,
  terms: Terms,
  hub: { readonly workerId: string; readonly hubStartedMs: number },
): boolean {
  const number = Number(receipt.attempt.split(".")[1]);
  return (
    Number.isInteger(number) &&
    number >= 1 &&
    receipt.attempt === `${terms.task}.${number}` &&
    receipt.worker === hub.workerId &&
    receipt.outcome === "complete" &&
    terms.created_ms < hub.hubStartedMs &&
    receipt.input_micros_per_million <= terms.input_micros_per_million &&
    receipt.output_micros_per_million <= terms.output_micros_per_million
  );
}

/** How the books of a task are closed under a receipt whose hub was lost. */
export function recoveredClosing(
  signed: SignedReceipt,
  terms: Terms,
  from: {
    readonly session: Session;
    readonly nowMs: number;
    readonly edgeKey: string;
    readonly edgeSignature: string;
  },
): TaskClosing {
  const { receipt } = signed;
  return {
    kind: "post",
    terms,
    providerAccountId: from.session.accountId,
    counts: { promptTokens: receipt.prompt_tokens, completionTokens: receipt.completion_tokens },
    price: {
      inputMicrosPerMillion: receipt.input_micros_per_million,
      outputMicrosPerMillion: receipt.output_micros_per_million,
    },
    isRecovered: true,
    record: {
      digest: receipt.model,
      class: "public",
      finish: "recovered",
      errorCode: null,
      route: null,
      firstTokenMs: receipt.first_token_ms,
      endedMs: from.nowMs,
      attempts: [
        {
          number: Number(receipt.attempt.split(".")[1]),
          workerId: receipt.worker,
          outcome: "complete",
          startedMs: receipt.started_ms,
          firstTokenMs: receipt.first_token_ms,
          endedMs: receipt.ended_ms,
          tokens: receipt.completion_tokens,
        },
      ],
      receipt: { signed, edgeKey: from.edgeKey, edgeSignature: from.edgeSignature },
    },
  };
}
