import { resolveTask } from "../../../edge/billing/account-state.ts";
import type { AttemptRecord, TaskClosing } from "../../../edge/billing/closing.ts";
import { outboxPayload, readPayload } from "../../../edge/billing/outbox-payload.ts";
import type { Terms } from "../../../edge/billing/ticket.ts";
import type { Settlements } from "../../../edge/db/tasks.ts";
import { accountWith, price, record, terms } from "../billing/closings.ts";

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
  const attempts = parts.map(({ workerId, outcome = "complete", tokens = 0 }, i): AttemptRecord => {
    const times = { startedMs: nowMs, firstTokenMs: nowMs, endedMs: nowMs };
    return { number: i + 1, workerId, outcome, tokens, bytesIn: 1, bytesOut: 1, ...times };
  });
  const ended = { ...record, finish, endedMs: nowMs, attempts };
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
      ? { kind: "void", terms: of, record: ended }
      : {
          kind: "post",
          terms: of,
          record: ended,
          counts: { promptTokens: 0, completionTokens },
          shares,
          isRecovered: false,
        };
  const state = { ...accountWith(10n ** 12n), accountId: of.account };
  const item = { closing, resolution: resolveTask(state, closing, nowMs) };
  return readPayload(outboxPayload([item], [])).settlements;
}
