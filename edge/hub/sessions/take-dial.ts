import { assert } from "../../../shared/assert.ts";
import { isRegion } from "../../../shared/regions.ts";
import type { HubState } from "../hub-state.ts";
import { isShut } from "./move-workers.ts";
import type { WorkerSockets } from "./worker-sockets.ts";

/**
 * A worker proves itself within a round trip or two. A stranger that takes longer gives its seat to
 * the next dial where seats are short, so that strangers cannot crowd out workers for long.
 */
const strangerPatienceMs = 2_000;

/**
 * The WebSocket upgrade of a worker: it is let in and challenged, or told that there is no room,
 * which the front Worker hears and asks another hub. The front Worker has set the region from the
 * connection's place.
 */
export function takeDial(
  request: Request,
  hub: { readonly state: HubState; readonly sockets: WorkerSockets },
  nowMs: number,
): Response {
  const { state, sockets } = hub;
  const region = request.headers.get("x-octo-region");
  assert(isRegion(region), "the front Worker names the region");
  if (isShut(state, nowMs)) return noRoom("this hub sends its workers elsewhere");
  if (sockets.count >= state.config.sessionsMax) {
    const stranger = sockets.strangerSince(nowMs - strangerPatienceMs);
    if (stranger === null) return noRoom(`this hub has ${sockets.count} workers`);
    sockets.close(stranger, "unproven", "others want to prove themselves");
  }
  const { 0: client, 1: server } = new WebSocketPair();
  sockets.open(server, { origin: new URL(request.url).origin, region }, nowMs);
  return new Response(null, { status: 101, webSocket: client });
}

function noRoom(why: string): Response {
  return new Response(why, { status: 503 });
}
