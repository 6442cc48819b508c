import { z } from "zod";

const integerMin = -(2n ** 63n);
const integerMax = 2n ** 63n - 1n;

/**
 * A value on the wire (Hrana 3 specification, "Values"): integers are text, so that no JSON parser
 * rounds them.
 */
export const wireValueSchema = z.discriminatedUnion("type", [
  z.object({ type: z.literal("null") }),
  z.object({
    type: z.literal("integer"),
    value: z
      .string()
      .regex(/^-?\d{1,19}$/)
      .refine((text) => BigInt(text) >= integerMin && BigInt(text) <= integerMax),
  }),
  z.object({ type: z.literal("float"), value: z.number() }),
  z.object({ type: z.literal("text"), value: z.string() }),
  z.object({ type: z.literal("blob"), base64: z.string().regex(/^[A-Za-z0-9+/_-]*={0,2}$/) }),
]);
export type WireValue = z.infer<typeof wireValueSchema>;

/** What the engine binds and gives: it binds a bigint as INTEGER and a number as REAL. */
export type EngineValue = null | bigint | number | string | Uint8Array;

export function wireToEngine(value: WireValue): EngineValue {
  switch (value.type) {
    case "null":
      return null;
    case "integer":
      return BigInt(value.value);
    case "float":
    case "text":
      return value.value;
    case "blob":
      return Buffer.from(value.base64, "base64");
  }
}

export function engineToWire(value: EngineValue): WireValue {
  if (value === null) return { type: "null" };
  switch (typeof value) {
    case "bigint":
      return { type: "integer", value: value.toString() };
    case "number":
      return { type: "float", value };
    case "string":
      return { type: "text", value };
    default:
      return { type: "blob", base64: Buffer.from(value).toString("base64") };
  }
}
