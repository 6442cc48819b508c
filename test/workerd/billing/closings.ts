import type { TaskClosing } from "../../../edge/billing/closing.ts";
import type { Terms } from "../../../edge/billing/ticket.ts";
import { newId } from "../../../shared/ids.ts";
import { defaultSplit } from "../../../shared/money.ts";
import type { Consumer } from "../world.ts";

const price = { inputMicrosPerMillion: 1_000_000, outputMicrosPerMillion: 1_000_000 };

export function termsFor(consumer: Consumer, changed: Partial<Terms> = {}): Terms {
  const nowMs = Date.now();
  return {
    v: 1,
    task: newId("tsk"),
    account: consumer.accountId,
    key: consumer.keyId,
    kind: "chat",
    model: "m",
    region: "weur",
    streamed: false,
    limit: "1000",
    input_micros_per_million: price.inputMicrosPerMillion,
    output_micros_per_million: price.outputMicrosPerMillion,
    split: defaultSplit,
    created_ms: nowMs,
    expires_ms: nowMs + 60_000,
    ...changed,
  };
}

/** A task that cost a micro a token: `tokens` of them. */
export function postOf(terms: Terms, providerAccountId: string, tokens: number): TaskClosing {
  const counts = { promptTokens: 0, completionTokens: tokens };
  return {
    kind: "post",
    isRecovered: false,
    terms,
    counts,
    shares: [{ attempt: 1, providerAccountId, counts, price }],
    record: {
      digest: "00".repeat(32),
      class: "public",
      finish: "stop",
      errorCode: null,
      route: null,
      firstTokenMs: terms.created_ms,
      endedMs: terms.created_ms,
      attempts: [],
      receipt: null,
    },
  };
}

export function voidOf(terms: Terms): TaskClosing {
  const { record } = postOf(terms, "", 0);
  return { kind: "void", terms, record: { ...record, finish: "failed" } };
}
