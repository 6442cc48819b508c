import { Hono } from "hono";
import { cors } from "hono/cors";
import { OctoError } from "../shared/errors.ts";
import { newId } from "../shared/ids.ts";
import type { AppEnv } from "./app-env.ts";
import { createContext } from "./context.ts";
import { errorResponse } from "./http-errors.ts";
import { apiRoutes } from "./routes/api-routes.ts";
import { inferenceRoutes } from "./routes/inference.ts";
import { modelRoutes } from "./routes/models.ts";
import { workerRoutes } from "./routes/worker.ts";

/** The edge's HTTP surface. */
export const app = new Hono<AppEnv>();

/** Any page may call with its user's own key; cookies are never involved, so any origin is safe. */
app.use(
  "*",
  cors({
    origin: "*",
    allowMethods: ["GET", "POST", "PATCH", "DELETE", "OPTIONS"],
    exposeHeaders: [
      "x-octo-task",
      "x-octo-worker",
      "x-octo-model-digest",
      "x-octo-region",
      "x-octo-attempts",
      "x-request-id",
      "server-timing",
      "retry-after",
    ],
    maxAge: 86_400,
  }),
);

app.use("*", async (c, next) => {
  const requestId = newId("req");
  c.header("x-request-id", requestId);
  c.set("ctx", createContext(c.req.raw, c.env, c.executionCtx, requestId));
  await next();
});

app.route("/v1", inferenceRoutes);
app.route("/v1", modelRoutes);
app.route("/", workerRoutes);
for (const { description, respond } of apiRoutes) {
  app.on(description.method, description.path, respond);
}
app.get("/healthz", (c) => c.json({ status: "ok" }));

app.notFound((c) => {
  const { method, path } = c.req;
  return fail(c, new OctoError("not_found", `There is no ${method} ${path}; see /openapi.json`));
});

app.onError((error, c) => fail(c, error));

function fail(c: { get(key: "ctx"): { requestId: string } | undefined }, error: unknown): Response {
  return errorResponse(error, c.get("ctx")?.requestId ?? newId("req"));
}
