import type { z } from "zod";
import { type CloseName, closeReason } from "./close-codes.ts";
import type { DownFrame, UpFrame } from "./frames.ts";
import { downFrameSchema, upFrameSchema } from "./frames.ts";
import { frameBytesMax, frameDepthMax } from "./limits.ts";

/** A frame that was understood, or why its sender is closed: a reason that fits a close frame. */
export type Decoded<Frame> =
  | { readonly kind: "frame"; readonly frame: Frame }
  | { readonly kind: "broken"; readonly close: CloseName; readonly reason: string };

export function encodeFrame(frame: UpFrame | DownFrame): string {
  return JSON.stringify(frame);
}

/** Decodes what a worker sent. Never throws: everything a peer can send has an answer here. */
export function decodeUp(data: unknown, bytesMax: number = frameBytesMax): Decoded<UpFrame> {
  return decode(data, upFrameSchema, bytesMax);
}

/** Decodes what a hub sent. */
export function decodeDown(data: unknown, bytesMax: number = frameBytesMax): Decoded<DownFrame> {
  return decode(data, downFrameSchema, bytesMax);
}

function decode<Frame>(data: unknown, schema: z.ZodType<Frame>, bytesMax: number): Decoded<Frame> {
  if (typeof data !== "string") return broken("malformed", "frames are text");
  // A UTF-16 unit is at least one byte and at most three: only the range between needs counting.
  if (data.length > bytesMax || (data.length * 3 > bytesMax && byteLength(data) > bytesMax)) {
    return broken("frameTooLarge", `a frame has at most ${bytesMax} bytes`);
  }
  if (depthOf(data) > frameDepthMax) {
    return broken("malformed", `a frame nests at most ${frameDepthMax} deep`);
  }
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    // The only failure of JSON.parse on a string is that the string is not JSON.
    return broken("malformed", "a frame is one JSON value");
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return { kind: "frame", frame: parsed.data };
  const issue = parsed.error.issues[0];
  return broken(
    "malformed",
    `${issue?.path.join(".") ?? ""}: ${issue?.message ?? "unknown frame"}`,
  );
}

function broken(close: CloseName, reason: string): Decoded<never> {
  // Schemas quote what they met, and a peer can make that as long as a frame.
  return { kind: "broken", close, reason: closeReason(reason) };
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** How deep brackets nest outside of strings, before anything recursive is run on the text. */
function depthOf(text: string): number {
  // Short frames cannot nest deep: this spares the scan for most of them.
  if (text.length < frameDepthMax * 2) return 0;
  let depth = 0;
  let deepest = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit === 0x22) {
      i = text.indexOf('"', i + 1);
      while (i !== -1 && isEscaped(text, i)) i = text.indexOf('"', i + 1);
      if (i === -1) return deepest;
    } else if (unit === 0x7b || unit === 0x5b) {
      depth += 1;
      if (depth > deepest) deepest = depth;
    } else if (unit === 0x7d || unit === 0x5d) {
      depth -= 1;
    }
  }
  return deepest;
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0;
  while (text.charCodeAt(at - 1 - backslashes) === 0x5c) backslashes += 1;
  return backslashes % 2 === 1;
}
