import type { z } from "zod";
import { type CloseName, closeReason } from "./close-codes.ts";
import type { DownFrame, UpFrame } from "./frames.ts";
import { downFrameSchema, upFrameSchema } from "./frames.ts";
import { frameBytesMax, frameDepthMax } from "./limits.ts";
import { readPlainDelta } from "./plain-delta.ts";
import { readPlainEnd } from "./plain-end.ts";

/** A frame that was understood, or why its sender is closed: a reason that fits a close frame. */
export type Decoded<Frame> =
  | { readonly kind: "frame"; readonly frame: Frame }
  | { readonly kind: "broken"; readonly close: CloseName; readonly reason: string };

export function encodeFrame(frame: UpFrame | DownFrame): string {
  return JSON.stringify(frame);
}

/** Decodes what a worker sent. Never throws: everything a peer can send has an answer here. */
export function decodeUp(data: unknown, bytesMax: number = frameBytesMax): Decoded<UpFrame> {
  return decode(data, upFrameSchema, bytesMax, readPlainUp);
}

function readPlainUp(value: unknown): UpFrame | null {
  return readPlainDelta(value) ?? readPlainEnd(value);
}

/**
 * Decodes a message of one or more frames, a line each: a worker sends what it has to say at one
 * moment in one message, because every message costs its hub an event. The limit is the whole
 * message's.
 */
export function decodeUpMessage(
  data: unknown,
  bytesMax: number = frameBytesMax,
): Decoded<readonly UpFrame[]> {
  if (typeof data !== "string" || !data.includes("\n")) {
    const only = decodeUp(data, bytesMax);
    return only.kind === "frame" ? { kind: "frame", frame: [only.frame] } : only;
  }
  if (isTooLarge(data, bytesMax)) {
    return broken("frameTooLarge", `a message has at most ${bytesMax} bytes`);
  }
  const frames: UpFrame[] = [];
  for (const line of data.split("\n")) {
    const decoded = decodeUp(line, bytesMax);
    if (decoded.kind === "broken") return decoded;
    frames.push(decoded.frame);
  }
  return { kind: "frame", frame: frames };
}

/** Joins encoded frames into messages of at most `frameBytesMax` bytes each, in order. */
export function joinFrames(frames: readonly string[]): string[] {
  const messages: string[] = [];
  let message = "";
  for (const frame of frames) {
    // Three bytes a UTF-16 unit is the most there can be: a bound that needs no encoding.
    const fits = (message.length + frame.length + 1) * 3 <= frameBytesMax;
    if (message !== "" && !fits) {
      messages.push(message);
      message = "";
    }
    message = message === "" ? frame : `${message}\n${frame}`;
  }
  if (message !== "") messages.push(message);
  return messages;
}

/** Decodes what a hub sent. */
export function decodeDown(data: unknown, bytesMax: number = frameBytesMax): Decoded<DownFrame> {
  return decode(data, downFrameSchema, bytesMax);
}

function decode<Frame>(
  data: unknown,
  schema: z.ZodType<Frame>,
  bytesMax: number,
  readPlain: (value: unknown) => Frame | null = () => null,
): Decoded<Frame> {
  if (typeof data !== "string") return broken("malformed", "frames are text");
  if (isTooLarge(data, bytesMax)) {
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
  const plain = readPlain(value);
  if (plain !== null) return { kind: "frame", frame: plain };
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

/** A UTF-16 unit is at least one byte and at most three: only the range between needs counting. */
function isTooLarge(text: string, bytesMax: number): boolean {
  if (text.length > bytesMax) return true;
  return text.length * 3 > bytesMax && new TextEncoder().encode(text).length > bytesMax;
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
