import { z } from "zod";
import { regions } from "../regions.ts";
import { classes } from "../protocol/listing.ts";
import { abilities, type Ability, isAbility } from "./abilities.ts";
import { sortOrders, strategies } from "./strategies.ts";

/**
 * The classes of quantization and the fewest bits a weight that each is met with. Formats mix
 * widths and add scales, so a floor is a little below the name: Q8_0 has 8.5 bits a weight, Q4_0
 * 4.5, a plain F16 just 16.
 */
const bitsFloors = {
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

/** One account's or worker's list of others; more would be a policy, not a request. */
const idsMax = 64;
/** 1,000 credits for a million tokens: the most a listing may ask. */
const creditsMax = 1_000;

const credits = z.number().min(0).max(creditsMax);

/** The most to pay, in credits for a million tokens: one number for both, or each. */
export const maxPriceSchema = z.union([
  credits,
  z
    .strictObject({ input: credits.optional(), output: credits.optional() })
    .refine((price) => Object.keys(price).length > 0, "give input, output or both"),
]);

const regionSchema = z.enum(regions);

export const regionsSchema = z.union([
  regionSchema,
  z.array(regionSchema).min(1).max(regions.length),
]);

export const strategySchema = z.enum(strategies);

const participant = z
  .string()
  .regex(/^([A-Za-z0-9_-]{43}|acct_[0-9A-Za-z]{22,43})$/, "a worker's id or an account's");

/** A weight over a million says no more than a million against one. */
const weight = z.number().min(0).max(1_000_000);

/** What a consumer may weigh; class and precision are demands of their own. */
const weightsSchema = z
  .strictObject({
    price: weight.optional(),
    latency: weight.optional(),
    throughput: weight.optional(),
    load: weight.optional(),
    reputation: weight.optional(),
    distance: weight.optional(),
    success: weight.optional(),
  })
  .refine(
    (weights) => Object.values(weights).some((value) => (value ?? 0) > 0),
    "at least one weight is over 0",
  );

const requiredAbility = z
  .string()
  .max(80)
  .refine((name): name is Ability => isAbility(name), {
    error: `expected one of ${abilities.join(", ")}, audio:…, image:… or param:…`,
  });

/**
 * How long a request can wait for a free worker: a person waits seconds, a batch a minute, a queue
 * minutes. Who waits less goes first.
 */
export const taskModes = ["realtime", "batch", "async"] as const;
export type TaskMode = (typeof taskModes)[number];

/**
 * The field `octo` of any inference request: whom a consumer wants to answer. It is the edge's
 * matter, and no engine sees it. The same form holds an account's defaults.
 */
export const octoOptionsSchema = z
  .strictObject({
    strategy: strategySchema
      .optional()
      .meta({ description: "What counts in choosing a worker; `balanced` unless said" }),
    weights: weightsSchema
      .optional()
      .meta({ description: "Instead of a strategy: how much each measure counts" }),
    sort: z
      .enum(sortOrders)
      .optional()
      .meta({ description: "Instead of a strategy: a strict order by one measure" }),
    max_price: maxPriceSchema.optional().meta({
      description: "Credits for a million tokens, at most: a number, or `input` and `output`",
    }),
    min_reputation: z
      .number()
      .min(0)
      .max(100)
      .optional()
      .meta({ description: "Only workers of at least this reputation; newcomers have 50" }),
    region: regionsSchema.optional().meta({ description: "Only workers there: one, or a list" }),
    class: z
      .enum(classes)
      .optional()
      .meta({ description: "How secret the task is; `public` unless said" }),
    exclude: z
      .array(participant)
      .max(idsMax)
      .optional()
      .meta({ description: "Workers, or the accounts of workers, that are not asked" }),
    include: z
      .array(participant)
      .min(1)
      .max(idsMax)
      .optional()
      .meta({ description: "Workers, or the accounts of workers, of whom alone one is asked" }),
    require: z
      .array(requiredAbility)
      .max(32)
      .optional()
      .meta({ description: "Abilities a worker must have besides what the request needs" }),
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
  .refine(
    ({ strategy, weights, sort }) =>
      [strategy, weights, sort].filter((one) => one !== undefined).length < 2,
    "give one of strategy, weights and sort",
  )
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
