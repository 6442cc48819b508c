import type { UpFrame } from "../../shared/protocol/frames.ts";
import { frameBytesMax } from "../../shared/protocol/limits.ts";
import { partBytes } from "../../shared/protocol/receipt.ts";
import type { TaskDelta, TaskEnd } from "../../shared/protocol/task.ts";

/** Far below what a frame may have, however its text is escaped. */
const joinedBytesMax = frameBytesMax / 16;
/** As the schema of `task.end` has it. */
const partsMax = 1024;

/**
 * The fewest frames that say what these say: a hub judges each of them, and what is said at one
 * moment is one thing to judge.
 */
export function gatherFrames(frames: readonly UpFrame[]): UpFrame[] {
  return withOneGrant(withoutNeedlessAccepts(withWholeEnds(frames)));
}

/** The last output before an attempt's end is the end's own. */
function withWholeEnds(frames: readonly UpFrame[]): UpFrame[] {
  const gathered: UpFrame[] = [];
  for (const frame of frames) {
    let end = frame;
    while (end.type === "task.end") {
      const { attempt } = end;
      const at = gathered.findLastIndex((of) => "attempt" in of && of.attempt === attempt);
      const before = gathered[at];
      if (before?.type !== "task.delta" || !canJoin(before, end)) break;
      gathered.splice(at, 1);
      end = { ...end, seq: before.seq, parts: [...before.parts, ...end.parts] };
    }
    gathered.push(end);
  }
  return gathered;
}

function canJoin(delta: TaskDelta, end: TaskEnd): boolean {
  if (delta.seq + 1 !== end.seq) return false;
  const parts = [...delta.parts, ...end.parts];
  // Of a token's probabilities nobody counts the bytes.
  if (parts.length > partsMax || parts.some((part) => part.logprobs !== undefined)) return false;
  return parts.reduce((sum, part) => sum + partBytes(part), 0) <= joinedBytesMax;
}

/** Where an attempt's first output comes in the same turn, the output says that it was accepted. */
function withoutNeedlessAccepts(frames: readonly UpFrame[]): UpFrame[] {
  return frames.filter(
    (frame, at) =>
      frame.type !== "task.accept" ||
      !frames.some(
        (later, laterAt) => laterAt > at && "attempt" in later && later.attempt === frame.attempt,
      ),
  );
}

/** Slots that come free together are granted together, once all of them are. */
function withOneGrant(frames: readonly UpFrame[]): UpFrame[] {
  let slots = 0;
  for (const frame of frames) if (frame.type === "credit.grant") slots += frame.slots;
  const last = frames.findLastIndex((frame) => frame.type === "credit.grant");
  return frames.flatMap((frame, at): UpFrame[] => {
    if (frame.type !== "credit.grant") return [frame];
    return at === last ? [{ ...frame, slots }] : [];
  });
}
