import type { ReceiptSubmit } from "../../shared/protocol/session.ts";
import type { SigningKey } from "../../shared/crypto/signing.ts";
import { countersign, verifyReceipt } from "../../shared/protocol/receipt.ts";
import type { TaskClosing } from "../billing/closing.ts";
import type { TicketSeal } from "../billing/ticket.ts";
import type { Session } from "./hub-state.ts";

type Entry = ReceiptSubmit["entries"][number];

/** What to do with a receipt that a worker brings back. */
export type Submission =
  /** Its task is paid under it, unless the account has closed the task already. */
  | { readonly kind: "close"; readonly closing: TaskClosing }
  /** It can never be paid: the worker need not keep it. */
  | { readonly kind: "drop" };

/**
 * Reads a receipt that was never acknowledged because its hub was lost. Only whole answers are paid this way: of a
 * broken one nobody can tell any more how much of it was relayed. `hubStartedMs` tells lost hubs from this one, which
 * remembers its own tasks and has settled or refused them.
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
  const { receipt } = signed;
  const terms = await context.seal.open(entry.ticket);
  const attempt = Number(receipt.attempt.split(".")[1]);
  if (
    terms === null ||
    receipt.attempt !== `${terms.task}.${attempt}` ||
    receipt.worker !== context.session.workerId ||
    receipt.outcome !== "complete" ||
    terms.created_ms >= context.hubStartedMs ||
    receipt.input_micros_per_million > terms.input_micros_per_million ||
    receipt.output_micros_per_million > terms.output_micros_per_million ||
    !(await verifyReceipt(signed))
  ) {
    return { kind: "drop" };
  }
  const edgeSignature = await countersign(signed, context.edgeKey);
  return {
    kind: "close",
    closing: {
      kind: "post",
      terms,
      providerAccountId: context.session.accountId,
      counts: { promptTokens: receipt.prompt_tokens, completionTokens: receipt.completion_tokens },
      price: {
        inputMicrosPerMillion: receipt.input_micros_per_million,
        outputMicrosPerMillion: receipt.output_micros_per_million,
      },
      record: {
        digest: receipt.model,
        class: "public",
        finish: "recovered",
        errorCode: null,
        route: null,
        firstTokenMs: receipt.first_token_ms,
        endedMs: context.nowMs,
        attempts: [
          {
            number: attempt,
            workerId: receipt.worker,
            outcome: "complete",
            startedMs: receipt.started_ms,
            firstTokenMs: receipt.first_token_ms,
            endedMs: receipt.ended_ms,
            tokens: receipt.completion_tokens,
          },
        ],
        receipt: { signed, edgeKey: context.edgeKey.publicKey, edgeSignature },
      },
    },
  };
}
