import {
  type AccountState,
  createAccountState,
  holdCredit,
  mintCredit,
} from "../../../edge/billing/account-state.ts";
import type { TaskClosing, TaskRecord } from "../../../edge/billing/closing.ts";
import type { Terms } from "../../../edge/billing/ticket.ts";
import { defaultSplit, type Micros, type Price, type TokenCounts } from "../../../shared/money.ts";

export const accountId = "acct_consumer";
export const providerId = "acct_provider";

/** An account with this much credit and a key. */
export function accountWith(micros: Micros, concurrencyMax = 10): AccountState {
  const state = createAccountState(accountId);
  state.concurrencyMax = concurrencyMax;
  state.keys.set("key_1", "active");
  if (micros > 0n) mintCredit(state, { id: "tfr_1", micros }, 0);
  return state;
}

/** Holds `limit` for a task until `expiresMs`; gives `held`, or the code of the refusal. */
export function holdFor(
  state: AccountState,
  taskId: string,
  limit: Micros,
  at: { readonly nowMs?: number; readonly expiresMs?: number; readonly keyId?: string } = {},
): string {
  const { nowMs = 0, expiresMs = 1_000, keyId = "key_1" } = at;
  const tokensMax = { promptTokens: 0, completionTokens: 0 };
  const request = { taskId, keyId, model: "m", limit, tokensMax, expiresMs };
  const result = holdCredit(state, request, nowMs);
  return result.kind === "held" ? "held" : result.code;
}

export function terms(task: string, changes: Partial<Terms> = {}): Terms {
  return {
    v: 1,
    task,
    account: accountId,
    key: "key_1",
    kind: "chat",
    model: "m",
    region: "weur",
    streamed: true,
    limit: "1000",
    input_micros_per_million: 1_000_000,
    output_micros_per_million: 1_000_000,
    split: defaultSplit,
    created_ms: 0,
    expires_ms: 900_000,
    ...changes,
  };
}

export const record: TaskRecord = {
  digest: null,
  class: "public",
  finish: "stop",
  errorCode: null,
  route: null,
  firstTokenMs: null,
  endedMs: 5,
  attempts: [],
  receipt: null,
};

/** One micro a token unless another price is named. */
export const price: Price = {
  inputMicrosPerMillion: 1_000_000,
  outputMicrosPerMillion: 1_000_000,
};

export function post(
  task: string,
  counts: TokenCounts,
  changes: Partial<Terms> = {},
): Extract<TaskClosing, { kind: "post" }> {
  const of = terms(task, changes);
  return {
    kind: "post",
    isRecovered: false,
    terms: of,
    record,
    counts,
    shares: [{ attempt: 1, providerAccountId: providerId, counts, price }],
  };
}
