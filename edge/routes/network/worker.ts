import { Hono } from "hono";
import { OctoError } from "../../../shared/errors.ts";
import type { AppEnv } from "../../app-env.ts";
import type { Context } from "../../context.ts";
import { shardOf } from "../../directory/hub-name.ts";
import { viewOf } from "../../directory/network-view.ts";
import { isReset } from "../../http-errors.ts";
import { directoryObject, hubObject } from "../../objects.ts";
import type { RouteDescription } from "../../openapi/description.ts";

/** Where three hubs had no room there is a storm: a worker does better to come back after it. */
const hubsMax = 3;
/** Long enough for a region's digests to be there, and for others' first tries to be over. */
const retryAfterS = 5;

/** `GET /worker`: where workers dial in. The hub challenges them inside the socket. */
export const workerRoutes = new Hono<AppEnv>().get("/worker", async (c) => {
  if (c.req.header("upgrade")?.toLowerCase() !== "websocket") {
    throw new OctoError("upgrade_required", "Workers connect here by WebSocket: run `octo-worker`");
  }
  const ctx = c.get("ctx");
  const lastHubId = lastHubOf(c.req.query("hub"), ctx);
  const fullHubIds: string[] = [];
  for (let hubs = 0; hubs < hubsMax; hubs++) {
    const hubId = await placeOf(ctx, { lastHubId, fullHubIds });
    const response = await dial(ctx, hubId, c.req.url);
    if (response !== null) return response;
    fullHubIds.push(hubId);
  }
  const tried = fullHubIds.join(", ");
  const message = `Cannot take this worker: ${tried} have no room; try again in ${retryAfterS} s`;
  throw new OctoError("unavailable", message, { retryAfterS });
});

/** Only a hint, and only within the region of the connection: anybody may say anything. */
function lastHubOf(hint: string | undefined, ctx: Context): string | null {
  return hint !== undefined && shardOf(hint, ctx.region) !== null ? hint : null;
}

/**
 * A worker whose hub is there goes straight back to it: after a storm a region's one directory is
 * asked only about the others. The hub itself knows whether it has room.
 */
async function placeOf(
  ctx: Context,
  dialled: { readonly lastHubId: string | null; readonly fullHubIds: readonly string[] },
): Promise<string> {
  const { lastHubId, fullHubIds } = dialled;
  if (lastHubId !== null && fullHubIds.length === 0) {
    const view = await viewOf(ctx, ctx.region);
    const isThere = view.some(({ hubId, isMoving }) => hubId === lastHubId && isMoving !== true);
    if (isThere) return lastHubId;
  }
  return directoryObject(ctx.env, ctx.region).placeWorker(dialled);
}

/** The hub's answer to the upgrade, or null where it has no room or has just gone. */
async function dial(ctx: Context, hubId: string, url: string): Promise<Response | null> {
  // Built afresh: what the worker says about its region, or anything else in headers, goes no
  // further.
  const headers = { upgrade: "websocket", "x-octo-region": ctx.region };
  try {
    const response = await hubObject(ctx.env, hubId).fetch(new Request(url, { headers }));
    return response.status === 503 ? null : response;
  } catch (error) {
    if (!isReset(error)) throw error;
    return null;
  }
}

export const workerDescription: RouteDescription = {
  name: "connectWorker",
  method: "get",
  path: "/worker",
  summary: "Where workers connect, by WebSocket",
  about:
    "Run `octo-worker`; it proves its identity inside the socket. `?hub=` names the hub it had, " +
    "which takes it back while it has room.",
  access: "anyone",
  status: 101,
  answer: null,
  errors: ["upgrade_required", "unavailable"],
};
