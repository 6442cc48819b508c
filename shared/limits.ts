import { z } from "zod";

/** What a limit holds for, from the widest to the narrowest. */
export const limitScopes = ["account", "team", "project", "key", "model"] as const;

export const budgetPeriods = ["day", "month"] as const;
export type BudgetPeriod = (typeof budgetPeriods)[number];

/** A thousand million: more than anybody asks in a minute, and exact in every sum. */
const countMax = 1_000_000_000;
const count = z.int().min(0).max(countMax);
const budget = z.int().min(0).max(Number.MAX_SAFE_INTEGER);

/** Models with limits of their own in one scope; each has a meter in the memory of its account. */
const modelsMax = 100;

const limitFields = {
  requests_per_minute: count.optional(),
  tokens_per_minute: count.optional(),
  /** Tasks at the same time. */
  concurrency: count.optional(),
  /** The most completion tokens of one task. */
  max_tokens: count.optional(),
  /** Micros a UTC day, and a UTC month. */
  day_budget_micros: budget.optional(),
  month_budget_micros: budget.optional(),
  /** Whether a budget that is spent refuses tasks, or is only told of. */
  budget_end: z.enum(["hard", "soft"]).optional(),
};

const modelLimitsSchema = z
  .strictObject(limitFields)
  .meta({ id: "ModelLimits", description: "What may be used of one model." });

/** What may be used by all that is under one scope together; what is not named is not limited. */
export const limitsSchema = z
  .strictObject({
    ...limitFields,
    /** Further limits for single models, by name. */
    models: z
      .record(z.string().min(1).max(256), modelLimitsSchema)
      .refine((models) => Object.keys(models).length <= modelsMax, `at most ${modelsMax} models`)
      .optional(),
  })
  .meta({
    id: "Limits",
    description: "What may be used of everything together; what is not named is not limited.",
  });

export type ModelLimits = z.infer<typeof modelLimitsSchema>;
export type Limits = z.infer<typeof limitsSchema>;
