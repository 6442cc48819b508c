import type { ReceiptSubmit } from "../../shared/protocol/session.ts";
import { utf8Length } from "../../shared/protocol/receipt.ts";
import type { ReceiptEntry } from "../tasks/receipt-journal.ts";

/** Limit of `receipt.submit`. */
const entriesPerFrame = 32;
/** Below the hub's 256 KiB with room for what surrounds the entries. */
const frameBytesMost = 200 * 1024;
/** A hub closes a worker that sends 50 control frames in a second; these go out once a second. */
const framesAtOnce = 5;

/** The next frames of receipts to submit, and the entries that are left for later. */
export function takeSubmission(entries: readonly ReceiptEntry[]): {
  readonly frames: ReceiptSubmit[];
  readonly rest: ReceiptEntry[];
} {
  const frames: ReceiptSubmit[] = [];
  let at = 0;
  while (at < entries.length && frames.length < framesAtOnce) {
    const frame: ReceiptEntry[] = [];
    let bytes = 0;
    for (; at < entries.length && frame.length < entriesPerFrame; at++) {
      const entry = entries[at];
      if (entry === undefined) break;
      const size = utf8Length(JSON.stringify(entry)) + 1;
      if (frame.length > 0 && bytes + size > frameBytesMost) break;
      frame.push(entry);
      bytes += size;
    }
    frames.push({ type: "receipt.submit", entries: frame });
  }
  return { frames, rest: entries.slice(at) };
}
