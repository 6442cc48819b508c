import { z } from "zod";
import { OctoError } from "../../../shared/errors.ts";
import { databaseOf } from "../../database.ts";
import {
  type Attempt,
  findTask,
  listTasks,
  type StoredReceipt,
  type TaskSummary,
} from "../../db/ledger/tasks.ts";
import {
  microsToJson,
  pageQuery,
  pageSchema,
  pageToJson,
  taskIdField,
  timeToJson,
} from "../fields.ts";
import { defineRoute, type Route } from "../route.ts";
import { namesToJson, taskRouteSchema } from "./route-schema.ts";
import type { attemptSchema, receiptSchema } from "./task-schema.ts";
import { taskDetailSchema, taskSchema } from "./task-schema.ts";
import { accountQuery, visibleAccount } from "../visible-account.ts";

/** Tasks that have ended, for whoever asked for them; operators may look at any account's. */
export const taskRoutes: readonly Route[] = [
  defineRoute({
    name: "listTasks",
    method: "get",
    path: "/api/v1/tasks",
    summary: "List tasks that have ended, newest first",
    access: "account:read",
    query: z.strictObject({ ...pageQuery, ...accountQuery }),
    answer: pageSchema(taskSchema).meta({ id: "TaskPage" }),
    errors: ["not_found"],
    async handle({ ctx, caller, query: { account_id: asked, ...page } }) {
      const accountId = visibleAccount(caller, asked);
      await using db = databaseOf(ctx.env);
      return pageToJson(await listTasks(db, { accountId, ...page }), taskToJson);
    },
  }),
  defineRoute({
    name: "readTask",
    method: "get",
    path: "/api/v1/tasks/:id",
    summary: "Read a task that has ended, with its attempts, receipts and route",
    access: "account:read",
    params: z.strictObject({ id: taskIdField }),
    query: z.strictObject(accountQuery),
    answer: taskDetailSchema,
    errors: ["not_found"],
    async handle({ ctx, caller, params: { id }, query }) {
      const accountId = visibleAccount(caller, query.account_id);
      await using db = databaseOf(ctx.env);
      const found = await findTask(db, { accountId, id });
      if (found === null) throw new OctoError("not_found", `There is no task ${id}`);
      const { route } = found.task;
      return {
        ...taskToJson(found.task),
        route: route === null ? null : routeInJson(route),
        attempts: found.attempts.map(attemptToJson),
        receipts: found.receipts.map(receiptToJson),
      };
    },
  }),
  defineRoute({
    name: "readTaskRoute",
    method: "get",
    path: "/api/v1/tasks/:id/route",
    summary: "Read why one of your tasks went to the worker that it went to",
    about: "Of a task that has ended. One that no worker ever got has no route.",
    access: "account:read",
    params: z.strictObject({ id: taskIdField }),
    answer: taskRouteSchema,
    errors: ["not_found"],
    async handle({ ctx, caller: { accountId }, params: { id } }) {
      await using db = databaseOf(ctx.env);
      const route = (await findTask(db, { accountId, id }))?.task.route ?? null;
      if (route === null) throw new OctoError("not_found", `There is no route of a task ${id}`);
      return taskRouteSchema.parse({
        object: "task.route",
        task_id: id,
        ...routeInJson(route),
      });
    },
  }),
];

function taskToJson(row: TaskSummary): z.infer<typeof taskSchema> {
  return {
    object: "task",
    id: row.id,
    account_id: row.accountId,
    key_id: row.keyId,
    kind: row.kind,
    model: row.model,
    digest: row.digest === null ? null : `sha256:${row.digest}`,
    region: row.region,
    strategy: row.strategy,
    mode: row.mode,
    tariff: row.tariff,
    class: row.class,
    streamed: row.streamed,
    attempts_made: row.attempts,
    state: row.state,
    finish: row.finish,
    prompt_tokens: row.promptTokens,
    completion_tokens: row.completionTokens,
    hold_micros: microsToJson(row.holdMicros),
    cost_micros: microsToJson(row.costMicros),
    error_code: row.errorCode,
    created_at: timeToJson(row.createdAt),
    first_token_at: timeToJson(row.firstTokenAt),
    ended_at: timeToJson(row.endedAt),
  };
}

/** The explanation as the hub kept it, with its names as JSON has them here. */
function routeInJson(text: string): Record<string, unknown> {
  return z.record(z.string(), z.unknown()).parse(namesToJson(JSON.parse(text)));
}

function attemptToJson(row: Attempt): z.infer<typeof attemptSchema> {
  return {
    number: row.number,
    worker_id: row.workerId,
    outcome: row.outcome,
    tokens: row.tokens,
    bytes_in: row.bytesIn,
    bytes_out: row.bytesOut,
    started_at: timeToJson(row.startedAt),
    first_token_at: timeToJson(row.firstTokenAt),
    ended_at: timeToJson(row.endedAt),
  };
}

function receiptToJson(row: StoredReceipt): z.infer<typeof receiptSchema> {
  return {
    attempt: row.attempt,
    worker_id: row.workerId,
    body: row.body,
    worker_signature: row.workerSignature,
    edge_signature: row.edgeSignature,
    edge_key: row.edgeKey,
    created_at: timeToJson(row.createdAt),
  };
}
