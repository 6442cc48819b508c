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

export const listingSchema = z.object({
  model: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$/),
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  engine: z.string().regex(/^[a-z0-9][a-z0-9.-]{0,31}$/),
  architecture: z.string().max(64),
  quantization: z.string().max(32),
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
});
/** What a worker offers under one model name. */
export type Listing = z.infer<typeof listingSchema>;

/** Worker → hub: my whole set of listings from now on. A later revision replaces an earlier one. */
export const listingPublishSchema = z.object({
  type: z.literal("listing.publish"),
  revision: z.int().min(1),
  listings: z.array(listingSchema).max(listingsMax),
});
export type ListingPublish = z.infer<typeof listingPublishSchema>;

/** Hub → worker: which of them are listed, and why the others are not. */
export const listingResultSchema = z.object({
  type: z.literal("listing.result"),
  revision: z.int().min(1),
  listed: z.array(z.string()),
  refused: z.array(z.object({ model: z.string(), reason: z.string() })),
});
export type ListingResult = z.infer<typeof listingResultSchema>;
