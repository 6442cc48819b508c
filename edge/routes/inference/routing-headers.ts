import { z } from "zod";
import {
  maxPriceSchema,
  type OctoOptions,
  regionsSchema,
  strategySchema,
} from "../../../shared/openai/octo-options.ts";
import { mergeOptions } from "../../../shared/openai/routing.ts";
import type { InferenceRequest } from "../../inference/engine-request.ts";
import { checked } from "../read-body.ts";

/** Routing by header, for clients whose bodies somebody else writes. */
const routingHeaders = ["x-octo-strategy", "x-octo-max-price", "x-octo-region"] as const;
export type RoutingHeader = (typeof routingHeaders)[number];

/** One number, or two with a comma between them: for prompt tokens, then for completion tokens. */
const priceHeader = z
  .string()
  .regex(/^\d+(\.\d+)?( *, *\d+(\.\d+)?)?$/, "one number, or two with a comma between them")
  .transform((text): unknown => {
    const [input = 0, output] = text.split(",").map(Number);
    return output === undefined ? input : { input, output };
  })
  .pipe(maxPriceSchema);

const regionHeader = z
  .string()
  .transform((text): unknown => text.split(",").map((name) => name.trim()))
  .pipe(regionsSchema);

/** What a request's headers ask of its routing; an error names the header. */
export function optionsInHeaders(header: (name: RoutingHeader) => string | null): OctoOptions {
  const read = <T>(name: RoutingHeader, schema: z.ZodType<T>): T | undefined => {
    const text = header(name);
    return text === null ? undefined : checked(text, schema, name);
  };
  const options = {
    strategy: read("x-octo-strategy", strategySchema),
    max_price: read("x-octo-max-price", priceHeader),
    region: read("x-octo-region", regionHeader),
  };
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

/** A request with what its headers ask in its own `octo`, where that does not say otherwise. */
export function withHeaders<Wanted extends InferenceRequest>(
  wanted: Wanted,
  headers: OctoOptions,
): Wanted {
  if (Object.keys(headers).length === 0) return wanted;
  const octo = mergeOptions([wanted.request.octo, headers]);
  return { ...wanted, request: { ...wanted.request, octo } };
}
