import { z } from "zod";
import { listingsMax, slotsMax } from "./limits.ts";

export const classes = ["public", "shared", "confidential", "private"] as const;
/** How secret a task is. A listing's ceiling is the most secret class it may serve. */
export type Class = (typeof classes)[number];

/**
 * 1,000 credits for a million tokens: far above any market price, far below where a cost could
 * overflow.
 */
const priceMax = 1_000_000_000;

/** Faster than any engine: more is a mistake, and would make a worker look better than all. */
const speedMax = 1_000_000;

/** What a worker measured of one model on its own machine, at joining. */
export const declaredSpeedSchema = z.object({
  /** To the first token of a short prompt, nothing else running. */
  first_token_ms: z.number().min(0).max(600_000),
  prompt_tokens_per_s: z.number().min(0).max(speedMax),
  /** One stream alone. */
  decode_tokens_per_s: z.number().min(0).max(speedMax),
  /** All streams together, with every slot busy. */
  decode_tokens_per_s_full: z.number().min(0).max(speedMax),
  /** The longest prompt that was really evaluated. */
  context_tokens: z.int().min(0).max(100_000_000),
});
export type DeclaredSpeed = z.infer<typeof declaredSpeedSchema>;

export const hardwareTiers = ["consumer", "prosumer", "enterprise"] as const;
export type HardwareTier = (typeof hardwareTiers)[number];

/** The machine as its worker sees it. */
export const hardwareSchema = z.object({
  cpu: z.string().max(128),
  physical_cores: z.int().min(1).max(4096),
  memory_bytes: z.int().min(0),
  gpus: z
    .array(
      z.object({
        name: z.string().max(128),
        memory_bytes: z.int().min(0),
        driver: z.string().max(64).nullable(),
      }),
    )
    .max(64),
  /** By the memory models run in: below 24 GB consumer, below 80 GB prosumer, else enterprise. */
  tier: z.enum(hardwareTiers),
});
export type Hardware = z.infer<typeof hardwareSchema>;

export const listingSchema = z.object({
  model: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$/),
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  /**
   * `content`: the digest is of the model's files, which the worker has read. `declared`: of what
   * another server says of a model whose files the worker cannot read.
   */
  identity: z.enum(["content", "declared"]),
  engine: z.string().regex(/^[a-z0-9][a-z0-9.-]{0,31}$/),
  architecture: z.string().max(64),
  quantization: z.string().max(32),
  /** Weights' bits over parameters: FP16 is 16, INT8 about 8, INT4 about 4; null where unknown. */
  bits_per_weight: z.number().min(0).max(64).nullable(),
  parameter_count: z.int().min(0),
  context_tokens: z.int().min(1).max(100_000_000),
  abilities: z
    .array(
      z
        .string()
        .regex(/^[a-z_]+(:[A-Za-z0-9_.-]+)?$/)
        .max(80),
    )
    .max(64),
  slots: z.int().min(1).max(slotsMax),
  input_micros_per_million: z.int().min(0).max(priceMax),
  output_micros_per_million: z.int().min(0).max(priceMax),
  class_ceiling: z.enum(classes),
  /** Null where it was not measured. */
  speed: declaredSpeedSchema.nullable(),
});
/** What a worker offers under one model name. */
export type Listing = z.infer<typeof listingSchema>;

/** Worker → hub: my whole set of listings from now on. A later revision replaces an earlier one. */
export const listingPublishSchema = z.object({
  type: z.literal("listing.publish"),
  revision: z.int().min(1),
  listings: z.array(listingSchema).max(listingsMax),
  hardware: hardwareSchema.optional(),
});
export type ListingPublish = z.infer<typeof listingPublishSchema>;

/**
 * Hub → worker: which of them are listed, and why the others are not. Sent again for the same
 * revision whenever that changes.
 */
export const listingResultSchema = z.object({
  type: z.literal("listing.result"),
  revision: z.int().min(1),
  listed: z.array(z.string()),
  refused: z.array(z.object({ model: z.string(), reason: z.string() })),
  /**
   * Those of `listed` that are probed first: they are offered tasks, and consumers do not see them
   * yet.
   */
  checking: z.array(z.string()).optional(),
  /** Abilities that were claimed, did not work when probed, and are left out of the listing. */
  struck: z
    .array(z.object({ model: z.string(), ability: z.string(), reason: z.string() }))
    .optional(),
});
export type ListingResult = z.infer<typeof listingResultSchema>;
