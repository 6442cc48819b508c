import { resolveTask } from "../../../edge/billing/account-state.ts";
import type { TaskClosing } from "../../../edge/billing/closing.ts";
import type { Terms } from "../../../edge/billing/ticket.ts";
import type { Settlements } from "../../../edge/db/ledger/tasks.ts";
import { accountWith, price, record, terms } from "../billing/closings.ts";
import { sampleAttempt, sampleTask } from "./samples.ts";

/** What a worker did for a task, and what it made of the answer that is paid. */
export interface Part {
  readonly workerId: string;
  readonly providerAccountId: string;
  readonly outcome?: string;
  /** Completion tokens, one micro each; none is an attempt that has no share. */
  readonly tokens?: number;
}

/** What a task leaves in the ledger, by the Account's own rules; its parts in order. */
export function settledTask(
  id: string,
  parts: readonly Part[],
  at: { readonly nowMs: number; readonly finish?: string } & Partial<
    Pick<Terms, "account" | "key" | "model">
  >,
): Settlements {
  const { nowMs, finish = "stop", ...changes } = at;
  const of = terms(id, { created_ms: nowMs, limit: "1000000", ...changes });
  const shares = parts.flatMap(({ providerAccountId, tokens = 0 }, i) =>
    tokens === 0
      ? []
      : [
          {
            attempt: i + 1,
            providerAccountId,
            counts: { promptTokens: 0, completionTokens: tokens },
            price,
          },
        ],
  );
  const completionTokens = shares.reduce((sum, { counts }) => sum + counts.completionTokens, 0);
  const closing: TaskClosing =
    shares.length === 0
      ? { kind: "void", terms: of, record }
      : {
          kind: "post",
          terms: of,
          record,
          counts: { promptTokens: 0, completionTokens },
          shares,
          isRecovered: false,
        };
  const state = { ...accountWith(10n ** 12n), accountId: of.account };
  const { kind, cost, transfers } = resolveTask(state, closing, nowMs);
  const task = sampleTask({
    id,
    accountId: of.account,
    keyId: of.key,
    model: of.model,
    attempts: parts.length,
    state: kind === "posted" ? "settled" : "void",
    finish,
    promptTokens: 0,
    completionTokens,
    costMicros: cost,
    createdAt: nowMs,
    endedAt: nowMs,
  });
  return {
    tasks: [task],
    attempts: parts.map(({ workerId, outcome = "complete", tokens = 0 }, i) =>
      sampleAttempt({ taskId: id, number: i + 1, workerId, outcome, tokens, startedAt: nowMs }),
    ),
    transfers: transfers.map((transfer) => ({
      id: transfer.id,
      taskId: transfer.taskId,
      kind: transfer.kind,
      debitAccount: transfer.debit,
      creditAccount: transfer.credit,
      amountMicros: transfer.micros,
      createdAt: transfer.createdMs,
    })),
    receipts: [],
  };
}
