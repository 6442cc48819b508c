import { OctoError } from "../../shared/errors.ts";
import { voidTask } from "../billing/void-task.ts";
import type { Caller, Context } from "../context.ts";
import { viewOfAll } from "../directory/network-view.ts";
import { isReset } from "../http-errors.ts";
import type { Resumed } from "../hub/answers/answers.ts";
import { hubObject } from "../objects.ts";
import { parseEventId } from "./event-id.ts";
import { relay } from "./relay.ts";

/**
 * The rest of a streamed answer behind the event its consumer saw last. Throws `invalid_request`
 * for what is no id of an event, and `not_found` where the caller has no such answer, or not any
 * more.
 */
export async function resumeAnswer(
  ctx: Context,
  caller: Caller,
  from: { readonly taskId: string; readonly lastEventId: string | null },
): Promise<Response> {
  const after = from.lastEventId === null ? null : parseEventId(from.lastEventId);
  if (after === null) {
    const message =
      "Last-Event-ID: send the id of the last event that came, or the answer's x-octo-event-id";
    throw new OctoError("invalid_request", message);
  }
  // Only hubs that are there are asked: a name from outside creates none.
  const isThere = (await viewOfAll(ctx)).some(({ hubId }) => hubId === after.hubId);
  const { taskId } = from;
  const of = { taskId, accountId: caller.accountId, after };
  const resumed = isThere ? await askHub(ctx, of) : null;
  if (resumed === null) {
    throw new OctoError("not_found", `There is no stream of ${taskId} behind ${from.lastEventId}`);
  }
  const headers = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-octo-task": taskId,
    "x-request-id": ctx.requestId,
  };
  if (resumed.kind === "events") return new Response(resumed.events, { headers });
  const { task, stream } = resumed;
  const { body, ended } = relay(ctx, task, stream);
  ctx.waitUntil(
    ended.then((end) => (end === "hub lost" ? voidTask(ctx, task, "unavailable") : undefined)),
  );
  return new Response(body, { headers });
}

async function askHub(
  ctx: Context,
  of: Parameters<ReturnType<typeof hubObject>["resume"]>[0],
): Promise<Resumed | null> {
  try {
    return await hubObject(ctx.env, of.after.hubId).resume(of);
  } catch (error) {
    // A hub that was reset has forgotten its answers.
    if (isReset(error)) return null;
    throw error;
  }
}
