import { Hono } from "hono";
import { OctoError } from "../shared/errors.ts";
import { newId } from "../shared/ids.ts";
import type { AppEnv } from "./app-env.ts";
import { createContext } from "./context.ts";
import { allowAnyOrigin, preflight } from "./cors.ts";
import { drainBody } from "./drain-body.ts";
import { errorResponse } from "./http-errors.ts";
import { apiRoutes } from "./routes/api-routes.ts";
import { allowedMethods } from "./routes/descriptions.ts";
import { depositNoticeRoutes } from "./routes/money/deposits.ts";
import { healthRoutes } from "./routes/health.ts";
import { inferenceRoutes } from "./routes/inference/inference.ts";
import { modelRoutes } from "./routes/inference/models.ts";
import { openApiRoutes } from "./routes/openapi.ts";
import { streamRoutes } from "./routes/inference/stream.ts";
import { workerRoutes } from "./routes/network/worker.ts";

/** The edge's HTTP surface. */
export const app = new Hono<AppEnv>();

app.options("*", (c) => preflight(c.req.raw));

app.route("/", healthRoutes);

app.use("*", async (c, next) => {
  const requestId = newId("req");
  c.set("ctx", createContext(c.req.raw, c.env, c.executionCtx, requestId));
  await next();
  // A WebSocket's response passes through as its hub made it.
  if (c.res.status === 101) return;
  if (c.res.status >= 400) await drainBody(c.req.raw);
  c.res.headers.set("x-request-id", requestId);
  allowAnyOrigin(c.res.headers);
});

app.use("*", async (c, next) => {
  assertEncodedOnce(c.req.raw.url);
  await next();
});

app.route("/v1", inferenceRoutes);
app.route("/v1", modelRoutes);
app.route("/v1", streamRoutes);
app.route("/", depositNoticeRoutes);
app.route("/", workerRoutes);
for (const { description, respond } of apiRoutes) {
  app.on(description.method, description.path, respond);
}
app.route("/", openApiRoutes);

app.notFound((c) => {
  const { method, path } = c.req;
  const allowed = allowedMethods(path);
  if (allowed.length === 0) {
    return fail(c, new OctoError("not_found", `There is no ${method} ${path}; see /openapi.json`));
  }
  const list = allowed.join(", ");
  const response = fail(c, new OctoError("method_not_allowed", `${path} takes ${list}`));
  response.headers.set("allow", list);
  return response;
});

/** What is still encoded after one decoding may say another path to who decodes it again. */
function assertEncodedOnce(url: string): void {
  if (!url.includes("%25") || !/%25[0-9a-f]{2}/i.test(new URL(url).pathname)) return;
  throw new OctoError("invalid_request", "The path is encoded twice; encode it once");
}

app.onError((error, c) => fail(c, error));

function fail(c: { get(key: "ctx"): { requestId: string } | undefined }, error: unknown): Response {
  return errorResponse(error, c.get("ctx")?.requestId ?? newId("req"));
}
