import { sql } from "drizzle-orm";
import { check, index, primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import { taskModes } from "../../../shared/openai/octo-options.ts";
import { taskKinds } from "../../../shared/openai/task-kinds.ts";
import { classes } from "../../../shared/protocol/listing.ts";
import { flag, micros, whole } from "./columns.ts";

/*
 * What was done and who was paid. Rows come in batches from outboxes, more than once and in any
 * order across batches: every key derives from the task id, and rows are only ever inserted.
 */

export const taskStates = ["settled", "void"] as const;

export const tasks = sqliteTable(
  "tasks",
  {
    id: text("id").primaryKey(),
    accountId: text("account_id").notNull(),
    keyId: text("key_id").notNull(),
    kind: text("kind", { enum: taskKinds }).notNull(),
    model: text("model").notNull(),
    digest: text("digest"),
    region: text("region").notNull(),
    strategy: text("strategy").notNull(),
    class: text("class", { enum: classes }).notNull(),
    streamed: flag("streamed").notNull(),
    attempts: whole("attempts").notNull(),
    state: text("state", { enum: taskStates }).notNull(),
    finish: text("finish"),
    promptTokens: whole("prompt_tokens").notNull(),
    completionTokens: whole("completion_tokens").notNull(),
    holdMicros: micros("hold_micros").notNull(),
    costMicros: micros("cost_micros").notNull(),
    errorCode: text("error_code"),
    mode: text("mode", { enum: taskModes }).notNull().default("realtime"),
    /** The hash of the tariff it was agreed under; null before there were any. */
    tariff: text("tariff"),
    teamId: text("team_id"),
    projectId: text("project_id"),
    /** Why this worker: the explanation of the choice, as JSON text. */
    route: text("route"),
    createdAt: whole("created_at").notNull(),
    firstTokenAt: whole("first_token_at"),
    endedAt: whole("ended_at").notNull(),
  },
  (table) => [
    index("tasks_by_account").on(table.accountId, table.createdAt, table.id),
    check("tasks_state", sql`${table.state} in ('settled', 'void')`),
    check("tasks_class", sql`${table.class} in ('public', 'shared', 'confidential', 'private')`),
    check("tasks_tokens", sql`${table.promptTokens} >= 0 and ${table.completionTokens} >= 0`),
    check("tasks_hold", sql`typeof(${table.holdMicros}) = 'integer' and ${table.holdMicros} >= 0`),
    check("tasks_cost", sql`typeof(${table.costMicros}) = 'integer' and ${table.costMicros} >= 0`),
    check("tasks_route", sql`${table.route} is null or json_valid(${table.route})`),
  ],
);

export const attempts = sqliteTable(
  "attempts",
  {
    taskId: text("task_id")
      .notNull()
      .references(() => tasks.id),
    number: whole("number").notNull(),
    workerId: text("worker_id").notNull(),
    outcome: text("outcome").notNull(),
    startedAt: whole("started_at").notNull(),
    firstTokenAt: whole("first_token_at"),
    endedAt: whole("ended_at").notNull(),
    tokens: whole("tokens").notNull(),
    /** Bytes relayed to the worker and from it. */
    bytesIn: whole("bytes_in").notNull().default(0),
    bytesOut: whole("bytes_out").notNull().default(0),
  },
  (table) => [
    primaryKey({ columns: [table.taskId, table.number] }),
    index("attempts_by_worker").on(table.workerId, table.startedAt),
    check("attempts_number", sql`${table.number} >= 1`),
    check("attempts_tokens", sql`${table.tokens} >= 0`),
  ],
);

export const transfers = sqliteTable(
  "transfers",
  {
    id: text("id").primaryKey(),
    taskId: text("task_id"),
    kind: text("kind").notNull(),
    debitAccount: text("debit_account").notNull(),
    creditAccount: text("credit_account").notNull(),
    asset: text("asset").notNull().default("CREDIT"),
    amountMicros: micros("amount_micros").notNull(),
    createdAt: whole("created_at").notNull(),
    /**
     * The account that decided it and its place among that account's transfers, from 1: the journal
     * of an account. Empty in transfers of before there were journals.
     */
    source: text("source").notNull().default(""),
    sourceSeq: whole("source_seq").notNull().default(0),
    /** SHA-256 over the hash before it in the journal and this transfer, in hex. */
    hash: text("hash").notNull().default(""),
    /** Why, in words, where a person moved it. */
    reason: text("reason"),
  },
  (table) => [
    uniqueIndex("transfers_by_source")
      .on(table.source, table.sourceSeq)
      .where(sql`${table.source} <> ''`),
    // Both carry asset and amount, so that a balance is read from the index alone.
    index("transfers_by_debit").on(
      table.debitAccount,
      table.createdAt,
      table.id,
      table.asset,
      table.amountMicros,
    ),
    index("transfers_by_credit").on(
      table.creditAccount,
      table.createdAt,
      table.id,
      table.asset,
      table.amountMicros,
    ),
    index("transfers_by_task").on(table.taskId),
    check(
      "transfers_amount",
      sql`typeof(${table.amountMicros}) = 'integer' and ${table.amountMicros} > 0`,
    ),
    check("transfers_two_accounts", sql`${table.debitAccount} <> ${table.creditAccount}`),
  ],
);

export const receipts = sqliteTable(
  "receipts",
  {
    taskId: text("task_id").notNull(),
    attempt: whole("attempt").notNull(),
    workerId: text("worker_id").notNull(),
    /** The canonical JSON both signatures cover, byte for byte. */
    body: text("body").notNull(),
    workerSignature: text("worker_signature").notNull(),
    edgeSignature: text("edge_signature").notNull(),
    edgeKey: text("edge_key").notNull(),
    createdAt: whole("created_at").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.taskId, table.attempt] }),
    index("receipts_by_worker").on(table.workerId, table.createdAt),
    check("receipts_attempt", sql`${table.attempt} >= 1`),
    check("receipts_body", sql`json_valid(${table.body})`),
  ],
);
