import type { Log } from "../../shared/log.ts";
import type { AttemptSummary } from "./attempt.ts";

/** Says how an attempt went, in one line without a word of its prompt or answer. */
export function logSummary(log: Log, summary: AttemptSummary): void {
  const { attempt, model, outcome, promptTokens, completionTokens, firstTokenMs } = summary;
  const level = outcome === "failed" || outcome === "refused" ? "warn" : "info";
  log(level, `Task ${outcome}`, {
    attempt,
    model,
    prompt: promptTokens,
    tokens: completionTokens,
    tokens_per_second: tokensPerSecond(summary),
    ...(firstTokenMs === null ? {} : { first_token_ms: firstTokenMs - summary.startedMs }),
    ms: summary.endedMs - summary.startedMs,
  });
}

/** Over the whole attempt, to one decimal. */
function tokensPerSecond(summary: AttemptSummary): number {
  const ms = Math.max(1, summary.endedMs - summary.startedMs);
  return Math.round((summary.completionTokens * 10_000) / ms) / 10;
}
