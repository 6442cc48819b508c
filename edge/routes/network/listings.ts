import { z } from "zod";
import { classes } from "../../../shared/protocol/listing.ts";
import { regions } from "../../../shared/regions.ts";
import { databaseOf } from "../../database.ts";
import { type Listing, searchListings } from "../../db/network/listings.ts";
import {
  flagInQuery,
  pageQuery,
  pageSchema,
  pageToJson,
  timeField,
  timeToJson,
  wholeInQuery,
  workerIdField,
} from "../fields.ts";
import { defineRoute, type Route } from "../route.ts";

const speedField = z.number().nullable();

const listingSchema = z
  .object({
    object: z.literal("listing"),
    id: z.string(),
    worker_id: workerIdField,
    model: z.string(),
    digest: z.string().meta({ description: "Of the model's weights: `sha256:` and 64 digits" }),
    input_micros_per_million: z.int(),
    output_micros_per_million: z.int(),
    class_ceiling: z.enum(classes).meta({ description: "The most secret class it may serve" }),
    region: z.enum(regions),
    abilities: z.array(z.string()).readonly(),
    context_tokens: z.int(),
    quantization: z.string(),
    slots: z.int(),
    engine: z.string(),
    online: z.boolean(),
    updated_at: timeField,
    identity: z.enum(["content", "declared"]).meta({
      description:
        "`content`: the digest is of files that the worker has read; `declared`: of what another " +
        "server says of a model",
    }),
    bits_per_weight: z
      .number()
      .nullable()
      .meta({ description: "FP16 is 16, INT8 about 8, INT4 about 4; null where unknown" }),
    declared_first_token_ms: speedField,
    declared_prompt_tokens_per_s: speedField,
    declared_decode_tokens_per_s: speedField,
    measured_first_token_ms: speedField,
    measured_decode_tokens_per_s: speedField,
    measured_success_share: speedField,
    measured_samples: z.int().nullable(),
  })
  .meta({ id: "Listing", description: "What a worker offers under one model name." });

const price = wholeInQuery(0, Number.MAX_SAFE_INTEGER).optional();

const searchSchema = z.strictObject({
  ...pageQuery,
  model: z.string().max(128).optional(),
  digest: z
    .string()
    .regex(/^(sha256:)?[0-9a-f]{64}$/, "`sha256:` and 64 hexadecimal digits")
    .optional(),
  region: z.enum(regions).optional(),
  class: z.enum(classes).optional().meta({ description: "A class it must be able to serve" }),
  ability: z.string().max(80).optional(),
  input_max: price.meta({ description: "Micros for a million prompt tokens, at most" }),
  output_max: price.meta({ description: "Micros for a million completion tokens, at most" }),
  quantization: z.string().max(32).optional(),
  bits_min: wholeInQuery(0, 64)
    .optional()
    .meta({ description: "Bits a weight, at least; leaves out listings that do not tell" }),
  online: flagInQuery.default(true).meta({ description: "`false` finds those offline too" }),
});

/** What workers offer: anybody with a key may search it. */
export const listingRoutes: readonly Route[] = [
  defineRoute({
    name: "searchListings",
    method: "get",
    path: "/api/v1/listings",
    summary: "Search the listings, cheapest first",
    access: "any key",
    query: searchSchema,
    answer: pageSchema(listingSchema).meta({ id: "ListingPage" }),
    async handle({ ctx, query }) {
      const { input_max: inputMax, output_max: outputMax, ...rest } = query;
      const { bits_min: bitsMin, digest, online, ...same } = rest;
      await using db = databaseOf(ctx.env);
      const page = await searchListings(db, {
        ...same,
        digest: digest?.replace("sha256:", ""),
        inputMax,
        outputMax,
        bitsMin,
        onlineOnly: online,
      });
      return pageToJson(page, listingToJson);
    },
  }),
];

function listingToJson(row: Listing): z.infer<typeof listingSchema> {
  return {
    object: "listing",
    id: row.id,
    worker_id: row.workerId,
    model: row.model,
    digest: `sha256:${row.digest}`,
    input_micros_per_million: row.inputMicrosPerMillion,
    output_micros_per_million: row.outputMicrosPerMillion,
    class_ceiling: row.classCeiling,
    region: row.region,
    abilities: row.abilities,
    context_tokens: row.contextTokens,
    quantization: row.quantization,
    slots: row.slots,
    engine: row.engine,
    online: row.online,
    updated_at: timeToJson(row.updatedAt),
    identity: row.identity,
    bits_per_weight: row.bitsPerWeight,
    declared_first_token_ms: row.declaredFirstTokenMs,
    declared_prompt_tokens_per_s: row.declaredPromptTokensPerS,
    declared_decode_tokens_per_s: row.declaredDecodeTokensPerS,
    measured_first_token_ms: row.measuredFirstTokenMs,
    measured_decode_tokens_per_s: row.measuredDecodeTokensPerS,
    measured_success_share: row.measuredSuccessShare,
    measured_samples: row.measuredSamples,
  };
}
