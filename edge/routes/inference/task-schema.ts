import { z } from "zod";
import { classes } from "../../../shared/protocol/listing.ts";
import { taskModes } from "../../../shared/openai/octo-options.ts";
import { taskKinds } from "../../../shared/openai/task-kinds.ts";
import { taskStates } from "../../db/schema/ledger.ts";
import { accountIdField, microsField, taskIdField, timeField, workerIdField } from "../fields.ts";

/** A task in a list. */
export const taskSchema = z
  .object({
    object: z.literal("task"),
    id: taskIdField,
    account_id: accountIdField,
    key_id: z.string(),
    kind: z.enum(taskKinds),
    model: z.string(),
    digest: z.string().nullable(),
    region: z.string(),
    strategy: z.string(),
    mode: z.enum(taskModes),
    tariff: z
      .string()
      .nullable()
      .meta({ description: "The hash of the tariff it was agreed under; see /api/v1/tariffs" }),
    class: z.enum(classes),
    streamed: z.boolean(),
    attempts_made: z.int(),
    state: z.enum(taskStates),
    finish: z.string().nullable(),
    prompt_tokens: z.int(),
    completion_tokens: z.int(),
    hold_micros: microsField,
    cost_micros: microsField,
    error_code: z.string().nullable(),
    created_at: timeField,
    first_token_at: timeField.nullable(),
    ended_at: timeField,
  })
  .meta({ id: "Task", description: "One inference that was asked for." });

export const attemptSchema = z
  .object({
    number: z.int(),
    worker_id: workerIdField,
    outcome: z.string().meta({ description: "`complete`, `cancelled`, or why it was lost" }),
    tokens: z.int(),
    bytes_in: z.int().meta({ description: "Bytes of the request that were relayed to the worker" }),
    bytes_out: z.int().meta({ description: "Bytes of its output that were relayed" }),
    started_at: timeField,
    first_token_at: timeField.nullable(),
    ended_at: timeField,
  })
  .meta({ id: "Attempt", description: "One try of a task on one worker." });

export const receiptSchema = z
  .object({
    attempt: z.int(),
    worker_id: workerIdField,
    body: z.string().meta({
      description:
        "The receipt as canonical JSON (RFC 8785), byte for byte what both signatures cover",
    }),
    worker_signature: z.string(),
    edge_signature: z.string(),
    edge_key: z.string().meta({ description: "The edge's Ed25519 public key" }),
    created_at: timeField,
  })
  .meta({ id: "Receipt", description: "Signed proof of one attempt." });

/** A task with everything that is known of it. */
export const taskDetailSchema = taskSchema
  .extend({
    route: z
      .record(z.string(), z.unknown())
      .nullable()
      .meta({ description: "Why this worker: what was considered and what decided" }),
    attempts: z.array(attemptSchema),
    receipts: z.array(receiptSchema),
  })
  .meta({ id: "TaskDetail", description: "A task with its attempts, receipts and route." });
