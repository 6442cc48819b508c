import { z } from "zod";
import { OctoError } from "../../../shared/errors.ts";
import { journalHeadSchema } from "../../../shared/ledger-record.ts";
import { base62, sha256, utf8 } from "../../../shared/crypto/bytes.ts";
import type { Caller, Context } from "../../context.ts";
import { type Approval, createApproval, findApproval } from "../../db/money/approvals.ts";
import { databaseOf } from "../../database.ts";
import { listApiKeys } from "../../db/people/api-keys.ts";
import type { Page } from "../../db/page.ts";
import { listProjects } from "../../db/people/projects.ts";
import { listTeams } from "../../db/people/teams.ts";
import { accountIdField, remarkField } from "../fields.ts";
import { storedLimits } from "../keys/stored-limits.ts";
import { type KnownAccount, knownAccount, openAccount } from "../known-account.ts";
import { speakerOf } from "../speaker.ts";
import { operatorOf } from "./four-eyes.ts";
import { defineRoute, type Route } from "../route.ts";
import { type Difference, differenceOf, isDifferent } from "./account-difference.ts";
import { restoreOrder } from "./restore-order.ts";

const path = "/api/v1/ledger/accounts/:id";
const params = z.strictObject({ id: accountIdField });
const differenceIdField = z.string().regex(/^[0-9a-f]{32}$/, "not the id of a difference");

const differenceSchema = z
  .object({
    object: z.literal("ledger.difference"),
    id: differenceIdField.meta({ description: "Names all of it: another one has another id" }),
    account_id: accountIdField,
    differs: z.boolean(),
    books: z.array(
      z.object({ book: z.string(), asset: z.string(), account: z.string(), ledger: z.string() }),
    ),
    journal: z.object({ account: journalHeadSchema, ledger: journalHeadSchema }),
    obstacles: z.array(z.string()).meta({ description: "Why it cannot be restored as it is" }),
  })
  .meta({
    id: "LedgerDifference",
    description: "What an account says that it has, beside what it has by the ledger, in micros.",
  });

const restoreSchema = z
  .strictObject({ difference: differenceIdField, reason: remarkField.trim().min(1) })
  .meta({
    id: "NewRestoring",
    examples: [{ difference: "0".repeat(32), reason: "its storage was lost 2026-11-28" }],
  });

type EnvOf = Pick<Context, "env">;

interface Restoring extends z.infer<typeof restoreSchema> {
  readonly accountId: string;
}

/** Accounts that know less than the ledger does, for operators. */
export const restoreRoutes: readonly Route[] = [
  defineRoute({
    name: "readLedgerDifference",
    method: "get",
    path: `${path}/difference`,
    summary: "Compare what an account has with what it has by the ledger",
    about: "Exact while the network goes on: what is on its way either way is not counted.",
    access: "network:operate",
    params,
    answer: differenceSchema,
    errors: ["not_found"],
    async handle({ ctx, params: { id } }) {
      return differenceToJson(await currentDifference(ctx, await knownAccount(ctx, id)));
    },
  }),
  defineRoute({
    name: "restoreAccount",
    method: "post",
    path: `${path}/restore`,
    summary: "Let an account take over what the ledger has of it",
    about:
      "For one whose storage was lost or put back. The difference is named, so that what was " +
      "looked at is what is done; sent again it is done once. Two transfers of a micro, there " +
      "and back, tell of it in its journal. Where more differs than one operator may give alone, " +
      "it is asked of another one, who approves.",
    access: "network:operate",
    params,
    body: restoreSchema,
    answer: differenceSchema,
    errors: ["not_found", "conflict"],
    async handle({ ctx, caller, params: { id }, body }) {
      const asked = { accountId: id, ...body };
      await restoreAccount(ctx, asked, (difference) =>
        assertOwnPower(ctx, { caller, asked, difference }),
      );
      return differenceToJson(await currentDifference(ctx, await knownAccount(ctx, id)));
    },
  }),
];

async function currentDifference(ctx: EnvOf, { row, object }: KnownAccount): Promise<Difference> {
  return differenceOf(ctx, row.id, await object.summary());
}

/** Lets an account take over what the ledger has; `assertMay` throws where somebody may not. */
export async function restoreAccount(
  ctx: EnvOf,
  { accountId, difference: id, reason }: Restoring,
  assertMay: (difference: Difference) => Promise<void>,
): Promise<void> {
  const known = await knownAccount(ctx, accountId);
  const { row, object } = known;
  if (!(await object.wasRestored(id))) {
    const difference = await currentDifference(ctx, known);
    assertRestorable(difference, id);
    await assertMay(difference);
    await using db = databaseOf(ctx.env);
    const order = await restoreOrder(db, difference, { reason, nowMs: Date.now() });
    const result = await object.restore(order);
    if (result.kind === "refused") {
      throw new OctoError(result.code, `Cannot restore ${row.id}: ${result.reason}`);
    }
  }
  // Also where it broke off before this was done.
  await openAccount(ctx, row);
  await pushRegistry(ctx, known);
}

/** Refuses what takes two operators, and asks another one for it (four eyes). */
async function assertOwnPower(
  ctx: Context,
  by: {
    readonly caller: Caller;
    readonly asked: Restoring;
    readonly difference: Difference;
  },
): Promise<void> {
  const { caller, asked, difference } = by;
  const amountMicros = difference.books.reduce((sum, { account, ledger }) => {
    return sum + (account < ledger ? ledger - account : account - ledger);
  }, 0n);
  if (amountMicros <= ctx.config.fourEyesMicros) return;
  await using db = databaseOf(ctx.env);
  // The same for the same difference; as many digits as any approval's id.
  const hash = await sha256(utf8(`restore:${asked.difference}`));
  const id = `apr_${base62(hash.subarray(0, 16), 22)}`;
  if ((await findApproval(db, id)) === null) {
    await createApproval(db, {
      id,
      kind: "restore",
      accountId: asked.accountId,
      asset: "CREDIT",
      amountMicros,
      reason: `${asked.difference} ${asked.reason}`,
      requestedBy: speakerOf(caller),
      requestedAccount: operatorOf(caller),
      decidedBy: null,
      state: "pending",
      createdAt: ctx.startedMs,
      decidedAt: null,
      doneAt: null,
    });
  }
  throw new OctoError(
    "insufficient_scope",
    `Cannot restore ${asked.accountId} alone: ${amountMicros} micros differ, and above ` +
      `${ctx.config.fourEyesMicros} two operators decide; another operator's key approves ${id}`,
  );
}

/** What was asked for by an approval, in the reason of which the difference comes first. */
export function restoringOf({ accountId, reason }: Approval): Restoring {
  const [difference = "", ...words] = reason.split(" ");
  return { accountId, difference, reason: words.join(" ") };
}

function assertRestorable(difference: Difference, id: string): void {
  const { accountId, obstacles } = difference;
  const refuse = (why: string) => new OctoError("conflict", `Cannot restore ${accountId}: ${why}`);
  if (difference.id !== id) throw refuse(`its difference is ${difference.id} now; look at it`);
  if (!isDifferent(difference)) throw refuse("it has what the ledger says");
  if (obstacles.length > 0) throw refuse(obstacles.join("; "));
}

/** What the registry has of an account's keys and groups, and its object obeys. */
async function pushRegistry(ctx: EnvOf, { row, object }: KnownAccount): Promise<void> {
  await using db = databaseOf(ctx.env);
  const accountId = row.id;
  // Keys of an archived group go on under its limits.
  const groups = { accountId, archived: true };
  for await (const { id, limits } of all((page) => listTeams(db, { ...groups, ...page }))) {
    await object.setLimits({ scope: "team", id }, storedLimits(limits));
  }
  for await (const { id, limits } of all((page) => listProjects(db, { ...groups, ...page }))) {
    await object.setLimits({ scope: "project", id }, storedLimits(limits));
  }
  for await (const key of all((page) => listApiKeys(db, { accountId, ...page }))) {
    const { teamId, projectId } = key;
    const status = key.revokedAt === null ? "active" : "revoked";
    const limits = storedLimits(key.limits);
    await object.setKey(key.id, status, { teamId, projectId, limits });
  }
}

async function* all<Row>(
  read: (page: {
    readonly limit: number;
    readonly cursor: string | undefined;
  }) => Promise<Page<Row>>,
): AsyncGenerator<Row, void, void> {
  let cursor: string | undefined;
  do {
    const { items, next } = await read({ limit: 100, cursor });
    yield* items;
    cursor = next ?? undefined;
  } while (cursor !== undefined);
}

function differenceToJson(difference: Difference): z.infer<typeof differenceSchema> {
  const { id, accountId, books, account, ledger, obstacles } = difference;
  return {
    object: "ledger.difference",
    id,
    account_id: accountId,
    differs: isDifferent(difference),
    books: books.map(({ book, asset, account: has, ledger: by }) => {
      return { book, asset, account: String(has), ledger: String(by) };
    }),
    journal: {
      account: { source: accountId, ...account },
      ledger: { source: accountId, ...ledger },
    },
    obstacles: [...obstacles],
  };
}
