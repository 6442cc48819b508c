import { describeError } from "../../shared/log.ts";
import type { Context } from "../context.ts";
import { edgeLog } from "../log.ts";
import { generatedKind } from "./answer-head.ts";
import { errorAnswer, errorEvent } from "./stream-events.ts";
import type { InferenceTask } from "./task.ts";

/** How a relayed stream ended, as far as the front Worker can see. */
export type RelayEnd = "complete" | "consumer gone" | "hub lost";

/**
 * Joins a hub's stream to the consumer's. The front Worker owns the consumer's end: when the hub
 * dies in mid-answer it says so in an error event, and when the consumer leaves the hub's stream is
 * cancelled. An IdentityTransformStream, because its writes fail once nobody reads (workerd
 * 2026-11), where a TransformStream's never do.
 */
export function relay(
  ctx: Context,
  task: InferenceTask,
  fromHub: ReadableStream<Uint8Array>,
): { readonly body: ReadableStream<Uint8Array>; readonly ended: Promise<RelayEnd> } {
  const { readable, writable } = new IdentityTransformStream();
  const ended = pipe(ctx, task, fromHub, writable);
  return { body: readable, ended };
}

async function pipe(
  ctx: Context,
  task: InferenceTask,
  fromHub: ReadableStream<Uint8Array>,
  toConsumer: WritableStream<Uint8Array>,
): Promise<RelayEnd> {
  try {
    await fromHub.pipeTo(toConsumer, {
      preventAbort: true,
      preventClose: true,
      signal: ctx.signal,
    });
  } catch (error) {
    if (ctx.signal.aborted) {
      await abandon(toConsumer);
      return "consumer gone";
    }
    return breakOff(task, toConsumer, error);
  }
  try {
    await toConsumer.close();
    return "complete";
  } catch {
    // Everything had been handed over; the consumer left before the end was.
    return "consumer gone";
  }
}

/**
 * The pipe broke: either the hub is gone, and the consumer is told, or the consumer is, and telling
 * fails too.
 */
async function breakOff(
  task: InferenceTask,
  toConsumer: WritableStream<Uint8Array>,
  error: unknown,
): Promise<RelayEnd> {
  const message = "The network lost the connection to the worker in the middle of the answer";
  const event = errorEvent(
    { code: "unavailable", message },
    errorAnswer({ ...task, kind: generatedKind(task), taskId: task.id }),
  );
  try {
    const writer = toConsumer.getWriter();
    await writer.write(new TextEncoder().encode(event));
    await writer.close();
  } catch {
    // Writing fails only where nobody reads any more.
    return "consumer gone";
  }
  edgeLog("warn", "hub lost in mid-answer", { task: task.id, error: describeError(error) });
  return "hub lost";
}

async function abandon(stream: WritableStream<Uint8Array>): Promise<void> {
  try {
    await stream.abort("the consumer hung up");
  } catch {
    // It was errored by the consumer's leaving.
  }
}
