import { z } from "zod";

/*
 * The edge's answers, as far as commands look at them. All else passes through to --json: an edge
 * may be newer than this program.
 */

const micros = z.int();
const time = z.string();

export const accountSchema = z.looseObject({
  id: z.string(),
  status: z.string(),
  concurrency_max: z.int().optional(),
  balance_micros: micros,
  held_micros: micros,
  earned_micros: micros,
});

export const keySchema = z.looseObject({
  id: z.string(),
  account_id: z.string(),
  name: z.string(),
  scopes: z.array(z.string()),
  created_at: time,
  expires_at: time.nullable(),
  revoked_at: time.nullable(),
  last_used_at: time.nullish(),
  models: z.array(z.string()).nullish(),
});
export type Key = z.infer<typeof keySchema>;

export const createdKeySchema = keySchema.extend({ key: z.string() });

export const takenWorkerSchema = z.looseObject({
  id: z.string(),
  name: z.string().nullable(),
  taken_at: time,
  seen: z
    .looseObject({
      online: z.boolean(),
      hub: z.string(),
      last_seen_at: time,
      models: z.array(z.string()),
    })
    .nullable(),
});
export type TakenWorker = z.infer<typeof takenWorkerSchema>;

const modelSchema = z.looseObject({
  id: z.string(),
  octo: z.looseObject({
    quantization: z.string(),
    context_tokens: z.int(),
    input_micros_per_million: z.int(),
    output_micros_per_million: z.int(),
    abilities: z.array(z.string()),
    regions: z.array(z.string()),
    workers: z.int(),
    free_slots: z.int(),
    slots: z.int(),
    measured: z.looseObject({ decode_tokens_per_s: z.number().nullable() }).nullable().optional(),
  }),
});
export type Model = z.infer<typeof modelSchema>;

export const modelListSchema = z.looseObject({ data: z.array(modelSchema) });

export const listingSchema = z.looseObject({
  worker_id: z.string(),
  model: z.string(),
  region: z.string(),
  input_micros_per_million: z.int(),
  output_micros_per_million: z.int(),
  context_tokens: z.int(),
  quantization: z.string(),
  slots: z.int(),
  online: z.boolean(),
  measured_first_token_ms: z.number().nullable(),
  measured_decode_tokens_per_s: z.number().nullable(),
  measured_success_share: z.number().nullable(),
});
export type Listing = z.infer<typeof listingSchema>;

export const taskSchema = z.looseObject({
  id: z.string(),
  kind: z.string(),
  model: z.string(),
  region: z.string(),
  strategy: z.string(),
  class: z.string(),
  state: z.string(),
  finish: z.string().nullable(),
  error_code: z.string().nullable(),
  attempts_made: z.int(),
  prompt_tokens: z.int(),
  completion_tokens: z.int(),
  hold_micros: micros,
  cost_micros: micros,
  created_at: time,
  first_token_at: time.nullable(),
  ended_at: time,
});
export type Task = z.infer<typeof taskSchema>;

export const taskDetailSchema = taskSchema.extend({
  key_id: z.string(),
  digest: z.string().nullable(),
  route: z
    .looseObject({
      worker_id: z.string().optional(),
      considered: z.int().optional(),
      own_only: z.boolean().optional(),
      excluded: z.record(z.string(), z.int()).optional(),
      candidates: z.array(z.looseObject({ worker_id: z.string(), score: z.number() })).optional(),
    })
    .nullable(),
  attempts: z.array(
    z.looseObject({
      number: z.int(),
      worker_id: z.string(),
      outcome: z.string(),
      tokens: z.int(),
      started_at: time,
      first_token_at: time.nullable(),
      ended_at: time,
    }),
  ),
  receipts: z.array(z.looseObject({ attempt: z.int(), worker_id: z.string(), created_at: time })),
});
export type TaskDetail = z.infer<typeof taskDetailSchema>;

export const creditSchema = z.looseObject({
  id: z.string(),
  account_id: z.string(),
  amount_micros: micros,
  balance_micros: micros,
});
