import { z } from "zod";
import { OctoError } from "../../../shared/errors.ts";
import { taskKinds } from "../../../shared/openai/task-kinds.ts";
import type { Prospect } from "../../hub/routing/prospect.ts";
import { planAffordable } from "../../inference/hold-own.ts";
import { hubObject } from "../../objects.ts";
import { inferenceErrors } from "./describe-inference.ts";
import { readRequest } from "./read-request.ts";
import { defineRoute, type Route } from "../route.ts";
import { dryRouteSchema, namesToJson } from "./route-schema.ts";
import { optionsInHeaders, withHeaders } from "./routing-headers.ts";

const dryRequestSchema = z
  .looseObject({
    kind: z
      .enum(taskKinds)
      .default("chat")
      .meta({ description: "Which inference route's body the rest is" }),
    model: z.string(),
  })
  .meta({
    id: "DryRouteRequest",
    examples: [{ model: "octo-tiny:cost", messages: [{ role: "user", content: "Hello" }] }],
  });

const routeSchema = dryRouteSchema.shape.hubs.element;

/** Where a request would go. */
export const dryRouteRoutes: readonly Route[] = [
  defineRoute({
    name: "tryRoute",
    method: "post",
    path: "/api/v1/route",
    summary: "Ask where a request would go and what it would cost at most",
    about:
      "Nothing is held and nothing runs. Where nobody could serve, the answer is the error. " +
      "What there is no credit for goes to own workers alone, if they offer the model.",
    access: "any key",
    body: dryRequestSchema,
    answer: dryRouteSchema,
    errors: inferenceErrors.filter((code) => code !== "idempotency_conflict"),
    async handle({ ctx, caller, body: { kind, ...body }, header }) {
      if (caller.keyId === null) {
        throw new OctoError("insufficient_scope", "Whose request it would be takes an API key");
      }
      const headers = optionsInHeaders(header);
      const { task, hubIds } = await planAffordable(
        ctx,
        caller,
        withHeaders(readRequest(kind, body), headers),
      );
      const unheld = { ...task, ticket: "" };
      const prospects = await Promise.all(
        hubIds.map(async (hubId) => {
          const prospect = (await hubObject(ctx.env, hubId).explain(unheld)) as Prospect;
          return prospectToJson(hubId, prospect);
        }),
      );
      return {
        object: "route",
        kind,
        model: task.model,
        strategy: task.routing.strategy,
        class: task.class,
        own_only: task.terms.own === true,
        cost_micros_max: Number(task.terms.limit),
        input_micros_per_million_max: task.terms.input_micros_per_million,
        output_micros_per_million_max: task.terms.output_micros_per_million,
        prompt_tokens_max: task.promptTokensMax,
        completion_tokens_max: task.completionTokensMax,
        hubs: prospects,
      };
    },
  }),
];

function prospectToJson(hubId: string, prospect: Prospect): z.infer<typeof routeSchema> {
  const route = prospect.kind === "chosen" ? prospect.route : null;
  const { considered, excluded, excludedExamples } =
    prospect.kind === "chosen" ? prospect.route : prospect;
  return namesToJson({
    hubId,
    outcome: prospect.kind,
    considered,
    excluded,
    excludedExamples,
    route,
  }) as z.infer<typeof routeSchema>;
}
