import type { TokenCounts } from "../../../shared/money.ts";
import { utf8Length } from "../../../shared/protocol/receipt.ts";
import { spokenTokens } from "./result-bounds.ts";
import { readResult } from "./result-fault.ts";
import type { ResultShape } from "./result-shape.ts";

/**
 * The counts of an answer within what its document itself says. The bound of a recording is what
 * the slowest coding would make of its bytes; the transcript says how long it was, and the consumer
 * sees that.
 */
export function countsWithin(
  shape: ResultShape | null,
  text: string,
  counts: TokenCounts,
): TokenCounts {
  if (shape?.kind !== "transcription") return counts;
  const read = readResult("transcription", text);
  // Half a document says nothing, and costs nothing.
  if (read.kind === "fault") return counts;
  const { duration_s: seconds, text: spoken } = read.result;
  const most = spokenTokens(seconds, shape.promptBytes ?? 0);
  // Some engines tell the text alone: no token of it is less than a byte.
  const spokenMax = seconds === 0 ? utf8Length(spoken) : most.completionTokensMax;
  return {
    promptTokens: Math.min(counts.promptTokens, most.promptTokensMax),
    completionTokens: Math.min(counts.completionTokens, spokenMax),
  };
}
