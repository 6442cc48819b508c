import { z } from "zod";
import { assert } from "../../../shared/assert.ts";
import { OctoError } from "../../../shared/errors.ts";
import { describeError } from "../../../shared/log.ts";
import { takeOnCommand } from "../../../shared/protocol/taking-on.ts";
import { regions } from "../../../shared/regions.ts";
import { type TakenWorker, workersMax } from "../../billing/account-workers.ts";
import type { Context } from "../../context.ts";
import { databaseOf } from "../../database.ts";
import { decodeCursor, timeCursorSchema, toPage } from "../../db/page.ts";
import { findSeenWorkers, type SeenWorker } from "../../db/network/taken-workers.ts";
import { edgeLog } from "../../log.ts";
import { hubObject } from "../../objects.ts";
import {
  accountIdField,
  nameField,
  pageQuery,
  pageSchema,
  pageToJson,
  timeField,
  timeToJson,
  workerIdField,
} from "../fields.ts";
import { subjectAccount } from "../keys/key-rights.ts";
import { knownAccount } from "../known-account.ts";
import { defineRoute, type Route } from "../route.ts";
import { speakerOf } from "../speaker.ts";

const path = "/api/v1/account/workers";
const params = z.strictObject({ id: workerIdField });
const accountQuery = {
  account_id: accountIdField
    .optional()
    .meta({ description: "Whose; the caller's own unless an operator says" }),
};

const takenWorkerSchema = z
  .object({
    object: z.literal("account_worker"),
    id: workerIdField.meta({ description: "The worker's Ed25519 public key" }),
    name: z.string().nullable(),
    taken_by: z.string().meta({ description: "The person or the API key that took it on" }),
    taken_at: timeField,
    seen: z
      .object({
        online: z.boolean(),
        hub: z.string().meta({ description: "Where it is, or was last" }),
        region: z.enum(regions),
        agent: z.string(),
        last_seen_at: timeField,
        models: z.array(z.string()).readonly().meta({ description: "What it offers now" }),
      })
      .nullable()
      .meta({ description: "Null where it has not worked for the account yet" }),
  })
  .meta({ id: "AccountWorker", description: "A worker that may earn for the account." });

/** Which workers may earn for an account, which is the account's own to say. */
export const accountWorkerRoutes: readonly Route[] = [
  defineRoute({
    name: "listAccountWorkers",
    method: "get",
    path,
    summary: "List the workers that may earn for your account, newest first",
    access: "account:read",
    query: z.strictObject({ ...pageQuery, ...accountQuery }),
    answer: pageSchema(takenWorkerSchema).meta({ id: "AccountWorkerPage" }),
    errors: ["not_found"],
    async handle({ ctx, caller, query: { account_id: asked, cursor, limit } }) {
      const accountId = subjectAccount(caller, asked);
      const { object } = await knownAccount(ctx, accountId);
      const before = decodeCursor(timeCursorSchema, cursor);
      const answer = await object.workers({ kind: "page", before, limit: limit + 1 });
      assert(answer.kind === "page", "a page was asked for");
      const page = toPage(answer.workers, limit, ({ takenMs, id }) => [takenMs, id]);
      const seen = await seenOf(ctx, accountId, page.items);
      return pageToJson(page, (row) => workerToJson(row, seen.get(row.id)));
    },
  }),
  defineRoute({
    name: "takeOnWorker",
    method: "put",
    path: `${path}/:id`,
    summary: "Take a worker on, so that it may earn for your account",
    about:
      "A worker that was started with your account is let in from then on, and is one of your " +
      "own workers: it answers you for free, and is shown what you keep on them. Said again it " +
      "changes the name, and nothing else.",
    access: ["account:write", "network:operate"],
    params,
    query: z.strictObject(accountQuery),
    body: z
      .strictObject({
        name: nameField
          .nullable()
          .optional()
          .meta({ description: "For you to know it by; left out, it stays as it is" }),
      })
      .meta({ id: "WorkerTaking", examples: [{ name: "the machine under the desk" }] }),
    answer: takenWorkerSchema,
    errors: ["not_found", "conflict"],
    async handle({ ctx, caller, params: { id }, query: { account_id: asked }, body: { name } }) {
      const accountId = subjectAccount(caller, asked);
      const { object } = await knownAccount(ctx, accountId);
      const by = speakerOf(caller);
      const answer = await object.workers({ kind: "take", id, name, by });
      if (answer.kind !== "taken") {
        const message = `Cannot take on worker ${id}: the account has ${workersMax}; remove one`;
        throw new OctoError("conflict", message);
      }
      const { worker } = answer;
      return workerToJson(worker, (await seenOf(ctx, accountId, [worker])).get(id));
    },
  }),
  defineRoute({
    name: "letWorkerGo",
    method: "delete",
    path: `${path}/:id`,
    summary: "Let a worker go: it earns for your account no more",
    about:
      "Its connection for your account is ended before this answers, and it is not let in again; " +
      "answers that it was making go on at other workers where they can. What it has earned " +
      "stays the account's.",
    access: ["account:write", "network:operate"],
    params,
    query: z.strictObject(accountQuery),
    answer: z
      .object({
        object: z.literal("account_worker"),
        id: workerIdField,
        removed: z.literal(true),
      })
      .meta({ id: "RemovedAccountWorker" }),
    errors: ["not_found"],
    async handle({ ctx, caller, params: { id }, query: { account_id: asked } }) {
      const accountId = subjectAccount(caller, asked);
      const { object } = await knownAccount(ctx, accountId);
      const answer = await object.workers({ kind: "let-go", id });
      assert(answer.kind === "let-go", "a worker was let go");
      const { wasTaken, hubIds } = answer;
      // Off the list with hubs left: an earlier call did not reach them (W3).
      if (!wasTaken && hubIds.length === 0) throw notTaken(id);
      const endedAt = await endSessions(ctx, { id, accountId, hubIds });
      await object.workers({ kind: "ended", id, endedAt });
      if (endedAt.length < hubIds.length) {
        const message = `Worker ${id} is let go, but a hub that may have it did not answer`;
        throw new OctoError("unavailable", `${message}: call this again`, { retryAfterS: 1 });
      }
      return { object: "account_worker", id, removed: true };
    },
  }),
];

function notTaken(id: string): OctoError {
  const message = `The account has no worker ${id}; \`${takeOnCommand(id)}\` takes it on`;
  return new OctoError("not_found", message);
}

/** Ends what the worker has for the account at these hubs; gives the hubs that have answered. */
async function endSessions(
  ctx: Context,
  of: { readonly id: string; readonly accountId: string; readonly hubIds: readonly string[] },
): Promise<string[]> {
  const { id, accountId, hubIds } = of;
  const answered = await Promise.all(
    hubIds.map(async (hubId) => {
      try {
        await hubObject(ctx.env, hubId).dismiss(id, accountId);
        return [hubId];
      } catch (error) {
        // The others are told all the same, and the caller that this one was not.
        edgeLog("warn", "worker not dismissed", { hub: hubId, error: describeError(error) });
        return [];
      }
    }),
  );
  return answered.flat();
}

async function seenOf(
  ctx: Context,
  accountId: string,
  taken: readonly TakenWorker[],
): Promise<ReadonlyMap<string, SeenWorker>> {
  await using db = databaseOf(ctx.env);
  return findSeenWorkers(db, { accountId, workerIds: taken.map(({ id }) => id) });
}

function workerToJson(
  { id, name, by, takenMs }: TakenWorker,
  seen: SeenWorker | undefined,
): z.infer<typeof takenWorkerSchema> {
  return {
    object: "account_worker",
    id,
    name,
    taken_by: by,
    taken_at: timeToJson(takenMs),
    seen:
      seen === undefined
        ? null
        : {
            online: seen.online,
            hub: seen.hub,
            region: seen.region,
            agent: seen.agentVersion,
            last_seen_at: timeToJson(seen.lastSeenAt),
            models: seen.models,
          },
  };
}
