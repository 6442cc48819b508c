import { z } from "zod";
import { OctoError } from "../../../shared/errors.ts";
import { hardwareSchema, hardwareTiers } from "../../../shared/protocol/listing.ts";
import { regions } from "../../../shared/regions.ts";
import { databaseOf } from "../../database.ts";
import { findWorker, listWorkers, type Worker } from "../../db/network/workers.ts";
import {
  accountIdField,
  pageQuery,
  pageSchema,
  pageToJson,
  timeField,
  timeToJson,
  workerIdField,
} from "../fields.ts";
import { defineRoute, type Route } from "../route.ts";

const workerSchema = z
  .object({
    object: z.literal("worker"),
    id: workerIdField.meta({ description: "The worker's Ed25519 public key" }),
    account_id: accountIdField.meta({ description: "The account that earns" }),
    region: z.enum(regions).meta({ description: "By its connection, not by its word" }),
    agent: z.string(),
    hub: z.string(),
    online: z.boolean(),
    first_seen_at: timeField,
    last_seen_at: timeField,
    tier: z.enum(hardwareTiers).nullable(),
    hardware: hardwareSchema.nullable().meta({ description: "By the worker's own word" }),
  })
  .meta({ id: "Worker", description: "One machine's agent." });

/** The registry of workers, for operators. */
export const workerRegistryRoutes: readonly Route[] = [
  defineRoute({
    name: "listWorkers",
    method: "get",
    path: "/api/v1/workers",
    summary: "List the workers, newest first",
    access: "network:operate",
    query: z.strictObject({ ...pageQuery, account_id: accountIdField.optional() }),
    answer: pageSchema(workerSchema).meta({ id: "WorkerPage" }),
    async handle({ ctx, query: { account_id: accountId, ...page } }) {
      await using db = databaseOf(ctx.env);
      return pageToJson(await listWorkers(db, { accountId, ...page }), workerToJson);
    },
  }),
  defineRoute({
    name: "readWorker",
    method: "get",
    path: "/api/v1/workers/:id",
    summary: "Read a worker",
    access: "network:operate",
    params: z.strictObject({ id: workerIdField }),
    answer: workerSchema,
    errors: ["not_found"],
    async handle({ ctx, params: { id } }) {
      await using db = databaseOf(ctx.env);
      const row = await findWorker(db, id);
      if (row === null) throw new OctoError("not_found", `There is no worker ${id}`);
      return workerToJson(row);
    },
  }),
];

function workerToJson(row: Worker): z.infer<typeof workerSchema> {
  return {
    object: "worker",
    id: row.id,
    account_id: row.accountId,
    region: row.region,
    agent: row.agentVersion,
    hub: row.hub,
    online: row.online,
    first_seen_at: timeToJson(row.firstSeenAt),
    last_seen_at: timeToJson(row.lastSeenAt),
    tier: row.tier,
    hardware: row.hardware,
  };
}
