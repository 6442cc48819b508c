import type { FinishReason, OutputPart, TokenLogprob } from "../../../shared/openai/output.ts";
import type { TokenCounts } from "../../../shared/money.ts";

/** A whole tool call of an answer. */
export interface ProbeCall {
  readonly name: string;
  readonly arguments: string;
}

/** How one run of a probe went. */
export type ProbeAnswer =
  | {
      readonly kind: "answered";
      /** A text a choice, without its reasoning. */
      readonly texts: readonly string[];
      readonly reasoning: string;
      readonly calls: readonly ProbeCall[];
      readonly logprobs: readonly TokenLogprob[];
      /** As its parts count them. */
      readonly tokens: number;
      readonly counts: TokenCounts;
      readonly finishes: readonly FinishReason[];
    }
  | { readonly kind: "failed"; readonly message: string };

/** The answer that these parts make. */
export function answerOf(
  parts: readonly OutputPart[],
  counts: TokenCounts,
  finishes: readonly FinishReason[],
): Extract<ProbeAnswer, { kind: "answered" }> {
  const texts: string[] = [];
  const calls = new Map<number, { name: string; arguments: string }>();
  const logprobs: TokenLogprob[] = [];
  let reasoning = "";
  let tokens = 0;
  for (const part of parts) {
    texts[part.index] = (texts[part.index] ?? "") + (part.text ?? "");
    reasoning += part.reasoning ?? "";
    tokens += part.tokens;
    logprobs.push(...(part.logprobs ?? []));
    for (const delta of part.tool_calls ?? []) {
      const call = calls.get(delta.index) ?? { name: "", arguments: "" };
      call.name += delta.name ?? "";
      call.arguments += delta.arguments ?? "";
      calls.set(delta.index, call);
    }
  }
  const whole = Array.from(texts, (text) => text ?? "");
  const made = [...calls.values()];
  return {
    kind: "answered",
    texts: whole,
    reasoning,
    calls: made,
    logprobs,
    tokens,
    counts,
    finishes,
  };
}
