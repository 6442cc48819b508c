import { Hono } from "hono";
import { OctoError } from "../../shared/errors.ts";
import type { AppEnv } from "../app-env.ts";
import { directoryObject, hubObject } from "../objects.ts";
import type { RouteDescription } from "../openapi/description.ts";

/** `GET /worker`: where workers dial in. The hub challenges them inside the socket. */
export const workerRoutes = new Hono<AppEnv>().get("/worker", async (c) => {
  if (c.req.header("upgrade")?.toLowerCase() !== "websocket") {
    throw new OctoError("upgrade_required", "Workers connect here by WebSocket: run `octo-worker`");
  }
  const { env, region } = c.get("ctx");
  const hubId = await directoryObject(env, region).hubForWorker();
  // Built afresh: what the worker says about its region, or anything else in headers, goes no
  // further.
  const request = new Request(c.req.url, {
    headers: { upgrade: "websocket", "x-octo-region": region },
  });
  return hubObject(env, hubId).fetch(request);
});

export const workerDescription: RouteDescription = {
  name: "connectWorker",
  method: "get",
  path: "/worker",
  summary: "Where workers connect, by WebSocket",
  about: "Run `octo-worker`; it proves its identity inside the socket.",
  access: "anyone",
  status: 101,
  answer: null,
  errors: ["upgrade_required"],
};
