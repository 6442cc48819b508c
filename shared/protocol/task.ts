import { z } from "zod";
import { finishSchema, outputPartSchema, tokenIdsSchema, usageSchema } from "../openai/output.ts";
import { taskKinds } from "../openai/task-kinds.ts";
import { signedReceiptSchema } from "./receipt.ts";

/** `<task id>.<attempt number>` */
const attempt = z.string().regex(/^tsk_[0-9A-Za-z]{22}\.\d{1,3}$/);
/** Frames of one attempt count up from 0 in each direction; a gap or a repeat has no effect. */
const seq = z.int().min(0).max(100_000_000);

/** Hub → worker: will you take this? The body follows in `task.body` frames where it is long. */
export const taskOfferSchema = z.object({
  type: z.literal("task.offer"),
  attempt,
  kind: z.enum(taskKinds),
  model: z.string(),
  digest: z.string(),
  /** The consumer's request as JSON text, or its first part. */
  body: z.string(),
  /** How many parts the body has in all, this one included. */
  body_parts: z.int().min(1).max(1024),
  /**
   * Another worker began this answer: so many `task.body` frames follow the body's, numbered on
   * from them, with a `continuedAnswerSchema` as JSON text. Only to workers of version 2.
   */
  prefix_parts: z.int().min(1).max(1024).optional(),
  /** Name the tokens of what is sent, so that another worker could go on. */
  wants_token_ids: z.boolean().optional(),
  /**
   * How long output may be gathered from now on, of this attempt and of those that run: in place of
   * the welcome's `pace_ms` and of those of earlier offers.
   */
  pace_ms: z.int().min(0).max(5_000).optional(),
  window_bytes: z.int().min(1),
  input_micros_per_million: z.int().min(0),
  output_micros_per_million: z.int().min(0),
  /**
   * The terms of the hold, sealed by the edge: goes back with a receipt that is submitted later.
   */
  ticket: z.string().max(4096),
});
export type TaskOffer = z.infer<typeof taskOfferSchema>;

/** The beginning of an answer that another worker gave, as it travels in an offer. */
export const continuedAnswerSchema = z.object({
  /** Exactly what the consumer has. */
  text: z.string(),
  /** The tokens that spell at least `text`; null where they are not known. */
  token_ids: tokenIdsSchema.nullable(),
});
export type ContinuedAnswer = z.infer<typeof continuedAnswerSchema>;

export const taskBodySchema = z.object({
  type: z.literal("task.body"),
  attempt,
  part: z.int().min(1).max(2047),
  text: z.string(),
});
export type TaskBody = z.infer<typeof taskBodySchema>;

/** Hub → worker: the consumer has read; so many more bytes of output may be sent. */
export const taskWindowSchema = z.object({
  type: z.literal("task.window"),
  attempt,
  bytes: z.int().min(1).max(1_000_000_000),
});
export type TaskWindow = z.infer<typeof taskWindowSchema>;

/**
 * Hub → worker: stop. Answered by `task.end` with what was made so far, or by nothing if it had
 * ended.
 */
export const taskCancelSchema = z.object({
  type: z.literal("task.cancel"),
  attempt,
  reason: z.enum(["consumer_gone", "first_token_late", "stalled", "overflow", "superseded"]),
});
export type TaskCancel = z.infer<typeof taskCancelSchema>;

/**
 * Worker → hub: taken. Output that comes in the same message says so as well, and needs no accept.
 */
export const taskAcceptSchema = z.object({ type: z.literal("task.accept"), attempt });
export type TaskAccept = z.infer<typeof taskAcceptSchema>;

export const refuseReasons = [
  "busy",
  "draining",
  "unknown_model",
  "price_changed",
  "malformed",
] as const;

export const taskRefuseSchema = z.object({
  type: z.literal("task.refuse"),
  attempt,
  reason: z.enum(refuseReasons),
});
export type TaskRefuse = z.infer<typeof taskRefuseSchema>;

/** Worker → hub: more of the answer. */
export const taskDeltaSchema = z.object({
  type: z.literal("task.delta"),
  attempt,
  seq,
  parts: z.array(outputPartSchema).min(1).max(1024),
});
export type TaskDelta = z.infer<typeof taskDeltaSchema>;

/** Worker → hub: the answer's last parts, how each choice ended, and the signed receipt. */
export const taskEndSchema = z.object({
  type: z.literal("task.end"),
  attempt,
  seq,
  parts: z.array(outputPartSchema).max(1024),
  outcome: z.enum(["complete", "cancelled"]),
  finishes: z.array(finishSchema).max(128),
  usage: usageSchema,
  receipt: signedReceiptSchema,
});
export type TaskEnd = z.infer<typeof taskEndSchema>;

/**
 * Failures that are the request's own fault are final; the others send the task to another worker.
 */
export const taskFailureCodes = [
  "context_length_exceeded",
  "invalid_request",
  "out_of_memory",
  "engine_failed",
] as const;

export const taskFailSchema = z.object({
  type: z.literal("task.fail"),
  attempt,
  seq,
  code: z.enum(taskFailureCodes),
  message: z.string().max(500),
  /** How long the engine asked to be left alone, where it did. */
  retry_after_ms: z.int().min(0).max(3_600_000).optional(),
});
export type TaskFail = z.infer<typeof taskFailSchema>;
