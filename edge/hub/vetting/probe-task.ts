import { toBase64Url, utf8 } from "../../../shared/crypto/bytes.ts";
import { canonicalJson, type JsonValue } from "../../../shared/crypto/jcs.ts";
import { newId } from "../../../shared/ids.ts";
import { defaultSplit } from "../../../shared/money.ts";
import { weightDemands } from "../../../shared/openai/octo-options.ts";
import { defaultRouting } from "../../../shared/openai/routing.ts";
import type { Listing } from "../../../shared/protocol/listing.ts";
import { limitOf } from "../../billing/account-state.ts";
import type { Terms } from "../../billing/ticket.ts";
import type { InferenceTask } from "../../inference/task.ts";
import { priceOf, type Session } from "../hub-state.ts";
import type { Probe } from "./preflight.ts";

/** As in plan-task.ts: a probe's terms look like any others. */
const holdMs = 35 * 60_000;
/** HMAC-SHA-256 */
const macBytes = 32;

/**
 * A probe as the task its worker sees: nothing in it says that it is one. Whoever is told that a
 * new model is being checked can guess, which is why listed ones are probed as well
 * (preflight-state.ts). It has no account, no hold and no row; its ticket is sealed by chance, so
 * that no receipt of it can ever be paid.
 */
export function probeTask(
  probe: Probe,
  to: { readonly session: Session; readonly listing: Listing },
  at: { readonly nowMs: number; readonly random: () => number },
): InferenceTask {
  const bytes = (count: number) =>
    Uint8Array.from({ length: count }, () => Math.floor(at.random() * 256));
  const id = newId("tsk", bytes);
  const accountId = newId("acct", bytes);
  const keyId = newId("key", bytes).slice(4, 12);
  const { session, listing } = to;
  const { model } = listing;
  const body = canonicalJson(probe.request as JsonValue);
  const price = priceOf(listing);
  const counts = { promptTokensMax: body.length, completionTokensMax: probe.tokensMax ?? 0 };
  const terms: Terms = {
    v: 1,
    task: id,
    account: accountId,
    key: keyId,
    kind: probe.kind,
    model,
    region: session.region,
    streamed: false,
    limit: limitOf(counts, price).toString(),
    input_micros_per_million: price.inputMicrosPerMillion,
    output_micros_per_million: price.outputMicrosPerMillion,
    split: defaultSplit,
    created_ms: at.nowMs,
    expires_ms: at.nowMs + holdMs,
  };
  return {
    id,
    kind: probe.kind,
    accountId,
    keyId,
    model,
    body,
    streamed: false,
    usageChunk: false,
    choices: probe.choices,
    demands: [],
    // Nothing is billed, and what the worker counts is judged as it comes.
    promptTokensMax: Number.MAX_SAFE_INTEGER,
    completionTokensMax: null,
    result: null,
    weights: weightDemands(null),
    routing: defaultRouting,
    class: "public",
    mode: "realtime",
    hedge: false,
    resume: false,
    region: session.region,
    createdMs: at.nowMs,
    attemptsBefore: 0,
    earlierAttempts: [],
    terms,
    ticket: `${toBase64Url(utf8(JSON.stringify(terms)))}.${toBase64Url(bytes(macBytes))}`,
  };
}
