import { z } from "zod";
import type { WireValue } from "./values.ts";
import { wireValueSchema } from "./values.ts";

/*
 * Requests of Hrana 2 and 3 over HTTP in JSON (libsql, docs/HRANA_2_SPEC.md and HRANA_3_SPEC.md).
 * What 3 adds is served to both: a client of 2 never asks for it.
 */

/**
 * A condition nests as deep as a client chains its steps with `and`; no client needs more than a
 * few.
 */
const conditionDepthMax = 32;
const sqlId = z.int().min(0).max(0x7fffffff);
const sqlText = { sql: z.string().nullish(), sql_id: sqlId.nullish() };

const statementSchema = z.object({
  ...sqlText,
  args: z.array(wireValueSchema).nullish(),
  named_args: z.array(z.object({ name: z.string(), value: wireValueSchema })).nullish(),
  want_rows: z.boolean().nullish(),
});
export type WireStatement = z.infer<typeof statementSchema>;

export type Condition =
  | { readonly type: "ok" | "error"; readonly step: number }
  | { readonly type: "not"; readonly cond: Condition }
  | { readonly type: "and" | "or"; readonly conds: readonly Condition[] }
  | { readonly type: "is_autocommit" };

const conditionSchema: z.ZodType<Condition> = z.lazy(() =>
  z.discriminatedUnion("type", [
    z.object({ type: z.enum(["ok", "error"]), step: z.int().min(0) }),
    z.object({ type: z.literal("not"), cond: conditionSchema }),
    z.object({ type: z.enum(["and", "or"]), conds: z.array(conditionSchema) }),
    z.object({ type: z.literal("is_autocommit") }),
  ]),
);

const shallowConditionSchema = z
  .unknown()
  // Without `abort` the check of the whole batch would still walk what is too deep.
  .refine((value) => depthOf(value) <= conditionDepthMax, { abort: true })
  .pipe(conditionSchema);

const stepSchema = z.object({
  condition: shallowConditionSchema.nullish(),
  stmt: statementSchema,
});

const batchSchema = z.object({
  steps: z
    .array(stepSchema)
    .refine((steps) => steps.every((step, at) => looksBack(step.condition, at))),
});
export type WireBatch = z.infer<typeof batchSchema>;

const requestSchema = z.discriminatedUnion("type", [
  z.object({ type: z.literal("close") }),
  z.object({ type: z.literal("execute"), stmt: statementSchema }),
  z.object({ type: z.literal("batch"), batch: batchSchema }),
  z.object({ type: z.literal("sequence"), ...sqlText }),
  z.object({ type: z.literal("describe"), ...sqlText }),
  z.object({ type: z.literal("store_sql"), sql_id: sqlId, sql: z.string() }),
  z.object({ type: z.literal("close_sql"), sql_id: sqlId }),
  z.object({ type: z.literal("get_autocommit") }),
]);
export type WireRequest = z.infer<typeof requestSchema>;

export const pipelineSchema = z.object({
  baton: z.string().nullish(),
  requests: z.array(requestSchema),
});
export const cursorSchema = z.object({ baton: z.string().nullish(), batch: batchSchema });

export interface WireError {
  readonly message: string;
  readonly code: string;
}

export interface StatementResult {
  readonly cols: readonly { readonly name: string | null; readonly decltype: string | null }[];
  readonly rows: readonly (readonly WireValue[])[];
  readonly affected_row_count: number;
  readonly last_insert_rowid: string | null;
}

/** A step may only ask how an earlier one ended. */
function looksBack(condition: Condition | null | undefined, at: number): boolean {
  if (condition === null || condition === undefined) return true;
  switch (condition.type) {
    case "ok":
    case "error":
      return condition.step < at;
    case "not":
      return looksBack(condition.cond, at);
    case "and":
    case "or":
      return condition.conds.every((inner) => looksBack(inner, at));
    case "is_autocommit":
      return true;
  }
}

/**
 * How deep conditions nest, counted no further than one beyond what is allowed: the body is not
 * ours.
 */
function depthOf(value: unknown, level = 0): number {
  if (level > conditionDepthMax || typeof value !== "object" || value === null) return level;
  const inner = [
    ...("cond" in value ? [value.cond] : []),
    ...("conds" in value && Array.isArray(value.conds) ? value.conds : []),
  ];
  return inner.reduce((deepest: number, one) => Math.max(deepest, depthOf(one, level + 1)), level);
}
