import type { OutputPart, TokenLogprob } from "../../../shared/openai/output.ts";
import { partBytes } from "../../../shared/protocol/receipt.ts";
import type { Attempt, HubState } from "../hub-state.ts";

export interface OutputFault {
  readonly reason: string;
  /** It was granted, and is too much all the same. */
  readonly isSize: boolean;
}

/** What is wrong with more output: judged before a byte of it is kept or counted (H5, H6). */
export function outputFault(
  state: HubState,
  attempt: Attempt,
  parts: readonly OutputPart[],
): OutputFault | null {
  const { task, probe } = attempt.entry;
  let { bytes } = attempt.transcript;
  for (const part of parts) {
    if (part.index >= task.choices) {
      return { reason: `choice ${part.index} was not asked for`, isSize: false };
    }
    bytes += partBytes(part);
    attempt.memoryBytes += memoryOf(part);
  }
  // A cancelled worker may send what was granted before; nothing is granted after.
  if (bytes > attempt.grantedBytes) {
    return { reason: `more than the granted ${attempt.grantedBytes} bytes`, isSize: false };
  }
  const { outputBytesMax, outputMemoryMax } = probe === null ? state.config : probeLimits;
  if (attempt.memoryBytes > outputMemoryMax) {
    return { reason: `output of over ${outputMemoryMax} bytes`, isSize: true };
  }
  if (bytes <= outputBytesMax) return null;
  return { reason: `more than ${outputBytesMax} bytes of output`, isSize: true };
}

/**
 * An image of 256 × 256 in any format, as base64, four times over; and the objects it came in, for
 * any worker of strangers may be asked for one.
 */
const probeLimits = { outputBytesMax: 1024 * 1024, outputMemoryMax: 2 * 1024 * 1024 } as const;

/** An object of ours is about 64 bytes beside its text. */
const objectBytes = 64;
/** A number in an array, where pointers are not compressed. */
const numberBytes = 8;

function memoryOf(part: OutputPart): number {
  let bytes = objectBytes + partBytes(part) + (part.tool_calls?.length ?? 0) * objectBytes;
  bytes += numberBytes * (part.token_ids?.length ?? 0);
  for (const logprob of part.logprobs ?? []) {
    bytes += logprobMemory(logprob);
    for (const top of logprob.top_logprobs) bytes += logprobMemory(top);
  }
  return bytes;
}

function logprobMemory({ token, bytes }: Pick<TokenLogprob, "token" | "bytes">): number {
  return objectBytes + token.length + numberBytes * (bytes?.length ?? 0);
}
