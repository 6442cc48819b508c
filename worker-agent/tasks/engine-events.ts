import { answerBytesMax } from "../../shared/protocol/limits.ts";
import { utf8Length } from "../../shared/protocol/receipt.ts";
import {
  type Engine,
  EngineError,
  type EngineEvent,
  type EngineTask,
  isGenerateTask,
  type ResultAnswer,
  type ResultTask,
} from "../engine/engine.ts";

/** Small enough for a part to fit any window, large enough for few frames. */
const partChars = 16 * 1024;

/** Runs a task of either sort as events: a document is one text, in parts, on choice 0. */
export function engineEvents(
  engine: Engine,
  task: EngineTask,
  signal: AbortSignal,
): AsyncIterable<EngineEvent> {
  if (isGenerateTask(task)) return engine.generate(task, signal);
  return documentEvents(engine, task, signal);
}

async function* documentEvents(
  engine: Engine,
  task: ResultTask,
  signal: AbortSignal,
): AsyncGenerator<EngineEvent, void, void> {
  const answer = await performUnlessAborted(engine, task, signal);
  if (answer === null) {
    // Nothing of a document is worth anything before its end.
    yield { kind: "end", finishes: [], usage: { prompt: 0, completion: 0, cached: 0 } };
    return;
  }
  const text = JSON.stringify(answer.result);
  const bytes = utf8Length(text);
  if (bytes > answerBytesMax) {
    // A hub closes the socket of a worker that sends more.
    const message = `The answer has ${bytes} bytes and may have ${answerBytesMax}: ask for less`;
    throw new EngineError("invalid_request", message);
  }
  // The tokens belong to the whole; the first part carries them.
  let tokens = answer.usage.completion;
  for (let at = 0; at < text.length; at += partChars) {
    const part = { index: 0, tokens, text: text.slice(at, at + partChars) };
    tokens = 0;
    yield { kind: "part", part };
  }
  yield { kind: "end", finishes: [{ index: 0, reason: "stop" }], usage: answer.usage };
}

async function performUnlessAborted(
  engine: Engine,
  task: ResultTask,
  signal: AbortSignal,
): Promise<ResultAnswer | null> {
  try {
    return await engine.perform(task, signal);
  } catch (error) {
    if (signal.aborted) return null;
    throw error;
  }
}
