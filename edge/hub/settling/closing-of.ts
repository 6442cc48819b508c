import type { Receipt, SignedReceipt } from "../../../shared/protocol/receipt.ts";
import type { CountersignedReceipt, TaskClosing, TaskRecord } from "../../billing/closing.ts";
import type { Terms } from "../../billing/ticket.ts";
import type { Share } from "../attempts/continue-answer.ts";
import { priceOf, recordOf, type Session, type TaskEnding } from "../hub-state.ts";

/**
 * What the check of an ended task's receipt found: nothing to check, a false one, or a
 * countersigned one.
 */
export type CheckedReceipt = CountersignedReceipt | "false" | null;

/** How the books of a task that ended on this hub are closed. */
export function closingOf(ending: TaskEnding, checked: CheckedReceipt): TaskClosing {
  const { terms } = ending.entry.task;
  if (ending.kind === "failed") return { kind: "void", terms, record: recordOf(ending, null) };
  if (checked !== "false") {
    return postOf(terms, recordOf(ending, checked), ending.shares);
  }
  // Whoever signed falsely made the end: those before it are owed what they delivered.
  const record = { ...recordOf(ending, null), finish: "receipt_invalid" };
  const earlier = ending.shares.filter(({ attempt }) => attempt !== ending.attempt);
  return earlier.length === 0 ? { kind: "void", terms, record } : postOf(terms, record, earlier);
}

function postOf(terms: Terms, record: TaskRecord, shares: readonly Share[]): TaskClosing {
  return {
    kind: "post",
    terms,
    record,
    counts: {
      promptTokens: shares.reduce((sum, { counts }) => sum + counts.promptTokens, 0),
      completionTokens: shares.reduce((sum, { counts }) => sum + counts.completionTokens, 0),
    },
    shares: shares.map(({ attempt, counts }) => ({
      attempt: attempt.number,
      providerAccountId: attempt.session.accountId,
      counts,
      price: priceOf(attempt.listing),
    })),
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
  hub: {
    readonly workerId: string;
    readonly accountId: string;
    readonly hubStartedMs: number;
  },
): boolean {
  const number = Number(receipt.attempt.split(".")[1]);
  return (
    Number.isInteger(number) &&
    number >= 1 &&
    receipt.attempt === `${terms.task}.${number}` &&
    receipt.worker === hub.workerId &&
    (terms.own !== true || terms.account === hub.accountId) &&
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
  const attempt = Number(receipt.attempt.split(".")[1]);
  const counts = {
    promptTokens: receipt.prompt_tokens,
    completionTokens: receipt.completion_tokens,
  };
  const price = {
    inputMicrosPerMillion: receipt.input_micros_per_million,
    outputMicrosPerMillion: receipt.output_micros_per_million,
  };
  return {
    kind: "post",
    terms,
    counts,
    shares: [{ attempt, providerAccountId: from.session.accountId, counts, price }],
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
          number: attempt,
          workerId: receipt.worker,
          outcome: "complete",
          startedMs: receipt.started_ms,
          firstTokenMs: receipt.first_token_ms,
          endedMs: receipt.ended_ms,
          tokens: receipt.completion_tokens,
          // What the lost hub relayed is not known any more.
          bytesIn: 0,
          bytesOut: 0,
        },
      ],
      receipt: { signed, edgeKey: from.edgeKey, edgeSignature: from.edgeSignature },
    },
  };
}
