import { z } from "zod";

/**
 * The classes of quantization and the fewest bits a weight that each is met with. Formats mix
 * widths and add scales, so a floor is a little below the name: Q8_0 has 8.5 bits a weight, Q4_0
 * 4.5, a plain F16 just 16.
 */
export const bitsFloors = {
  fp32: 31,
  fp16: 15,
  int8: 7.5,
  int6: 5.9,
  int5: 4.95,
  int4: 3.9,
  int3: 2.9,
  int2: 1.9,
} as const;

export type QuantizationClass = keyof typeof bitsFloors;

const quantizationClasses = Object.keys(bitsFloors) as [QuantizationClass, ...QuantizationClass[]];

/**
 * How long a request can wait for a free worker: a person waits seconds, a batch a minute, a queue
 * minutes. Who waits less goes first.
 */
export const taskModes = ["realtime", "batch", "async"] as const;
export type TaskMode = (typeof taskModes)[number];

/**
 * The field `octo` of any inference request: what a consumer demands of the weights that answer.
 * It is the edge's matter, and no engine sees it.
 */
export const octoOptionsSchema = z
  .strictObject({
    mode: z.enum(taskModes).optional().meta({
      description: "How long it may wait for a free worker; real time goes before the others",
    }),
    hedge: z.boolean().optional().meta({
      description: "Ask a second worker where the first is later than 19 of 20 are; one is paid",
    }),
    min_quantization: z.enum(quantizationClasses).optional().meta({
      description: "Only weights of at least this precision; those that do not tell are left out",
    }),
    identity: z.literal("content").optional().meta({
      description: "Only models whose files the worker has read, not those named by a server",
    }),
    resume: z.boolean().optional().meta({
      description: "Answer to the end though the connection is lost; read it at the task's stream",
    }),
  })
  .meta({ id: "OctoOptions" });
export type OctoOptions = z.infer<typeof octoOptionsSchema>;

/** The same in a form, whose fields are texts: as JSON. */
export const octoOptionsInForm = z.union([
  octoOptionsSchema,
  z
    .string()
    .transform((text, ctx) => {
      try {
        return JSON.parse(text) as unknown;
      } catch {
        // The only failure of JSON.parse on a string is that the string is not JSON.
        ctx.addIssue('an object as JSON, say {"min_quantization":"int8"}');
        return z.NEVER;
      }
    })
    .pipe(octoOptionsSchema),
]);

/** What a request demands of a model's weights. Plain data: it travels with the task. */
export interface WeightDemands {
  /** The fewest bits a weight; null where any will do. */
  readonly bitsMin: number | null;
  readonly byContent: boolean;
}

export function weightDemands(options: OctoOptions | null | undefined): WeightDemands {
  const least = options?.min_quantization;
  return {
    bitsMin: least === undefined ? null : bitsFloors[least],
    byContent: options?.identity === "content",
  };
}

/** The first demand that weights do not meet, or null. Bits that nobody knows meet none. */
export function weightFault(
  demands: WeightDemands,
  weights: { readonly identity: "content" | "declared"; readonly bitsPerWeight: number | null },
): "quantization" | "identity" | null {
  if (demands.byContent && weights.identity !== "content") return "identity";
  if (demands.bitsMin === null) return null;
  return (weights.bitsPerWeight ?? 0) < demands.bitsMin ? "quantization" : null;
}
