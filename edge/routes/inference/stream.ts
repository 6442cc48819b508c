import { Hono } from "hono";
import { z } from "zod";
import { type AppEnv } from "../../app-env.ts";
import { assertMay } from "../../authenticate.ts";
import { resumeAnswer } from "../../inference/resume-answer.ts";
import type { RouteDescription } from "../../openapi/description.ts";
import { chatEventSchema } from "../../openapi/openai-answers.ts";
import { activeCaller } from "../active-caller.ts";
import { taskIdField } from "../fields.ts";
import { checked } from "../read-body.ts";

const params = z.strictObject({ id: taskIdField });

/** `GET /v1/tasks/{id}/stream`: the rest of an answer whose connection was lost. */
export const streamRoutes = new Hono<AppEnv>().get("/tasks/:id/stream", async (c) => {
  const caller = await activeCaller(c);
  assertMay(caller, "inference");
  const { id } = checked(c.req.param(), params, "The path");
  // A page's EventSource cannot set headers on its first request.
  const lastEventId = c.req.header("last-event-id") ?? c.req.query("last_event_id") ?? null;
  return resumeAnswer(c.get("ctx"), caller, { taskId: id, lastEventId });
});

export const streamDescription: RouteDescription = {
  name: "resumeStream",
  method: "get",
  path: "/v1/tasks/:id/stream",
  summary: "The rest of a streamed answer whose connection was lost",
  about:
    "For five minutes after its end. With `octo.resume` an answer is made to the end though " +
    "nobody reads; without, what was made until the connection was lost can be read.",
  access: "inference",
  params,
  query: z.object({ last_event_id: z.string().optional() }),
  headers: { "last-event-id": "The id of the last event that came, say `weur:0:17`" },
  answer: null,
  event: chatEventSchema,
  errors: ["invalid_request", "not_found"],
};
