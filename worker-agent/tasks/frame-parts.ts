import type { OutputPart } from "../../shared/openai/output.ts";
import { partBytes, utf8Length } from "../../shared/protocol/receipt.ts";
import { takeBytes } from "./output-parts.ts";

/**
 * Half of what a hub accepts, less what surrounds the parts: the receipt of `task.end` is below 4
 * KiB.
 */
const partsBytesMax = 124 * 1024;
/** Limit of `task.delta` and `task.end`. */
const partsPerFrameMax = 1024;
/** A control character is written with six bytes in JSON, and no byte with more. */
const jsonBytesPerByteMax = 6;
/** A part without its output, and one tool call's keys: far below these. */
const emptyPartJsonBytes = 128;
const toolCallJsonBytes = 1024;

/** Divides parts among frames so that none is too large. No parts make no frames. */
export function partsByFrame(parts: readonly OutputPart[]): OutputPart[][] {
  const frames: OutputPart[][] = [];
  let frame: OutputPart[] = [];
  let frameBytes = 0;
  for (const part of parts.flatMap(fitPart)) {
    const bytes = jsonBytes(part);
    const isFull = frameBytes + bytes > partsBytesMax || frame.length === partsPerFrameMax;
    if (isFull && frame.length > 0) {
      frames.push(frame);
      frame = [];
      frameBytes = 0;
    }
    frame.push(part);
    frameBytes += bytes;
  }
  if (frame.length > 0) frames.push(frame);
  return frames;
}

/** A number of ten digits and its comma: no vocabulary needs more. */
const tokenIdJsonBytes = 11;
/** Tokens of less than two bytes each, thousands at once, go without their ids. */
const tokenIdsMax = Math.floor(partsBytesMax / 4 / tokenIdJsonBytes);

/** The part, or as many smaller ones as it takes for each to fit a frame. */
function fitPart(whole: OutputPart): OutputPart[] {
  const { token_ids: ids = [], ...unnamed } = whole;
  const part = ids.length > tokenIdsMax ? unnamed : whole;
  if (jsonBytes(part) <= partsBytesMax) return [part];
  const bytes = partBytes(part);
  if (bytes >= 2) {
    const { head, rest } = takeBytes([part], Math.floor(bytes / 2));
    if (head.length > 0) return [...head, ...rest].flatMap(fitPart);
  }
  const logprobs = part.logprobs ?? [];
  // What is left cannot be cut: one character, or one call's id and name, which their schema
  // bounds.
  if (logprobs.length < 2) return [part];
  const half = Math.ceil(logprobs.length / 2);
  const first = { ...part, logprobs: logprobs.slice(0, half) };
  return [first, { index: part.index, tokens: 0, logprobs: logprobs.slice(half) }].flatMap(fitPart);
}

function jsonBytes(part: OutputPart): number {
  const calls = part.tool_calls?.length ?? 0;
  const most =
    partBytes(part) * jsonBytesPerByteMax +
    emptyPartJsonBytes +
    calls * toolCallJsonBytes +
    (part.token_ids?.length ?? 0) * tokenIdJsonBytes;
  // Most parts are small by this bound alone and are spared being written twice.
  if (part.logprobs === undefined && most < partsBytesMax / 8) return most;
  return utf8Length(JSON.stringify(part));
}
