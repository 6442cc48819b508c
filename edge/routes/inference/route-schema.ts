import { z } from "zod";
import { scoreParts, sortOrders, strategies } from "../../../shared/openai/strategies.ts";
import { taskKinds } from "../../../shared/openai/task-kinds.ts";
import { classes } from "../../../shared/protocol/listing.ts";
import { exclusions } from "../../hub/routing/route-explanation.ts";
import { microsField, taskIdField } from "../fields.ts";

const share = z.number().min(0).max(1);
const byPart = z.partialRecord(z.enum(scoreParts), share);

const strategyField = z
  .enum([...strategies, "weights", "sort"])
  .meta({ description: "`weights` and `sort` where those were given instead of a strategy" });

const excludedField = z
  .partialRecord(z.enum(exclusions), z.int())
  .meta({ description: "How many workers each hard filter left out" });

const excludedExamplesField = z
  .array(z.object({ worker_id: z.string(), reason: z.enum(exclusions) }))
  .meta({ description: "Ten of them at most" });

/** Why this worker. */
const explanationFields = {
  strategy: strategyField,
  weights: byPart.meta({ description: "How much each part counts; those that count at all" }),
  sort: z.enum(sortOrders).nullable(),
  reputation_version: z.int(),
  considered: z.int().meta({ description: "Workers of the hub" }),
  excluded: excludedField,
  excluded_examples: excludedExamplesField,
  candidates: z
    .array(
      z.object({
        worker_id: z.string(),
        score: share,
        parts: byPart,
        is_failing: z.boolean().meta({ description: "It has only ever failed" }),
      }),
    )
    .meta({
      description: "The ten best by score: the sum of their parts, each 1 for the best, by weight",
    }),
  worker_id: z.string().meta({ description: "Who was chosen" }),
  own_only: z
    .boolean()
    .optional()
    .meta({ description: "Only own workers could be chosen, who cost nothing" }),
  explored: z.boolean().meta({ description: "Chosen to be measured, as one choice in 100 is" }),
  sticky: z
    .boolean()
    .meta({ description: "Chosen of the near-best because tasks that begin alike go there" }),
  input_micros_per_million: z.int(),
  output_micros_per_million: z.int(),
};

export const taskRouteSchema = z
  .object({ object: z.literal("task.route"), task_id: taskIdField, ...explanationFields })
  .meta({ id: "TaskRoute", description: "Why a task went to the worker that it went to." });

export const dryRouteSchema = z
  .object({
    object: z.literal("route"),
    kind: z.enum(taskKinds),
    model: z.string().meta({ description: "Without the suffix of a strategy" }),
    strategy: strategyField,
    class: z.enum(classes),
    own_only: z.boolean().meta({ description: "Only own workers are asked, who cost nothing" }),
    cost_micros_max: microsField.meta({ description: "What would be held, in micros" }),
    input_micros_per_million_max: z.int(),
    output_micros_per_million_max: z.int(),
    prompt_tokens_max: z.int(),
    completion_tokens_max: z.int().nullable(),
    hubs: z
      .array(
        z.object({
          hub_id: z.string(),
          outcome: z
            .enum(["chosen", "busy", "nobody"])
            .meta({ description: "`busy`: it would wait for a free slot" }),
          considered: z.int(),
          excluded: excludedField,
          excluded_examples: excludedExamplesField,
          route: z.object(explanationFields).nullable(),
        }),
      )
      .meta({ description: "The hubs that would be asked, in this order" }),
  })
  .meta({ id: "DryRoute", description: "What would become of a request." });

/** Names as JSON has them here: `workerId` is `worker_id`, all the way down. */
export function namesToJson(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(namesToJson);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      namesToJson(inner),
    ]),
  );
}
