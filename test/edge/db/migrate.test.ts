import { join } from "node:path";
import { sql } from "drizzle-orm";
import { expect, test } from "vitest";
import { createEndpoint } from "../../../dev/libsql/endpoint.ts";
import { listen } from "../../../dev/libsql/listen.ts";
import { openLocalDatabase } from "../../../dev/libsql/open-local.ts";
import { readMigrations } from "../../../dev/libsql/read-migrations.ts";
import { listAccounts } from "../../../edge/db/people/accounts.ts";
import { decideApproval, undoneApprovals } from "../../../edge/db/money/approvals.ts";
import { listMembers } from "../../../edge/db/people/members.ts";
import { findProof } from "../../../edge/db/money/payout-proofs.ts";
import { paidByAddress } from "../../../edge/db/money/payouts.ts";
import { queueWithdrawal } from "../../../edge/db/money/withdrawals.ts";
import { applyMigrations } from "../../../edge/db/migrate.ts";
import { temporaryFolder } from "./worlds.ts";

const first = { name: "0000_first", sql: "create table a (x);\n--> statement-breakpoint\n" };
const second = { name: "0001_second", sql: "create table b (x);" };

test("the repository's migrations apply once, over a file and over HTTP", async () => {
  await using stack = new AsyncDisposableStack();
  const folder = await temporaryFolder(stack);
  const migrations = await readMigrations();
  const names = migrations.map((migration) => migration.name);
  const endpoint = stack.use(createEndpoint({ path: join(folder, "http.db") }));
  const { url } = stack.use(await listen(endpoint.fetch));
  for (const address of [`file:${join(folder, "file.db")}`, url, ":memory:"]) {
    const db = stack.use(openLocalDatabase({ url: address }));
    expect(await applyMigrations(db, migrations, 1)).toEqual(names);
    expect(await applyMigrations(db, migrations, 2)).toEqual([]);
    expect(await listAccounts(db, { limit: 1 })).toEqual({ items: [], next: null });
  }
});

test("a new migration is applied after the old ones, in whatever order they come", async () => {
  await using db = openLocalDatabase({ url: ":memory:" });
  expect(await applyMigrations(db, [first], 1)).toEqual(["0000_first"]);
  expect(await applyMigrations(db, [second, first], 2)).toEqual(["0001_second"]);
});

test("a changed old migration is refused in one line", async () => {
  await using db = openLocalDatabase({ url: ":memory:" });
  await applyMigrations(db, [first], 1);
  const changed = { ...first, sql: "create table a (y);" };
  const error: unknown = await applyMigrations(db, [changed, second], 2).catch((e: unknown) => e);
  expect(error).toMatchObject({ code: "conflict" });
  const hash = "[0-9a-f]{12}";
  expect(String(error)).toMatch(
    new RegExp(
      "^OctoError: Cannot apply migration 0000_first: it was applied with another text " +
        `\\(sha-256 ${hash}, now ${hash}\\)$`,
    ),
  );
});

test("a migration that fails leaves nothing behind and can be applied once mended", async () => {
  await using db = openLocalDatabase({ url: ":memory:" });
  const broken = { name: "0001_second", sql: `${second.sql}\n--> statement-breakpoint\nselec` };
  await expect(applyMigrations(db, [first, broken], 1)).rejects.toMatchObject({
    message: "Cannot apply migration 0001_second: the database failed with SQLITE_ERROR",
  });
  expect(await applyMigrations(db, [first, second], 2)).toEqual(["0001_second"]);
});

test("many runners at once apply each migration once", async () => {
  await using stack = new AsyncDisposableStack();
  const url = `file:${join(await temporaryFolder(stack), "octo.db")}`;
  const runners = Array.from({ length: 6 }, () => stack.use(openLocalDatabase({ url })));
  const migrations = await readMigrations();
  const applied = await Promise.all(runners.map((db) => applyMigrations(db, migrations, 1)));
  expect(applied.flat().toSorted()).toEqual(migrations.map((migration) => migration.name));
});

test("a migration may rebuild a table that others refer to", async () => {
  await using stack = new AsyncDisposableStack();
  const folder = await temporaryFolder(stack);
  const endpoint = stack.use(createEndpoint({ path: join(folder, "octo.db") }));
  const { url } = stack.use(await listen(endpoint.fetch));
  const db = stack.use(openLocalDatabase({ url }));
  const statements = (...sql: string[]) => sql.join("\n--> statement-breakpoint\n");
  const made = statements(
    "create table parent (id integer primary key)",
    "create table child (parent integer references parent (id))",
    "insert into parent values (1)",
    "insert into child values (1)",
  );
  const rebuilt = statements(
    "create table parent_new (id integer primary key, note text)",
    "insert into parent_new (id) select id from parent",
    "drop table parent",
    "alter table parent_new rename to parent",
  );
  const migrations = [
    { name: "0000_made", sql: made },
    { name: "0001_rebuilt", sql: rebuilt },
  ];
  expect(await applyMigrations(db, migrations, 1)).toHaveLength(2);
});

test("tasks from before there were seven kinds keep their attempts, and new kinds fit", async () => {
  await using stack = new AsyncDisposableStack();
  const folder = await temporaryFolder(stack);
  const endpoint = stack.use(createEndpoint({ path: join(folder, "http.db") }));
  const { url } = stack.use(await listen(endpoint.fetch));
  const migrations = await readMigrations();
  const before = migrations.filter(({ name }) => name < "0001");
  const later = migrations.filter(({ name }) => name >= "0001").map(({ name }) => name);
  for (const address of [url, `file:${join(folder, "file.db")}`]) {
    const db = stack.use(openLocalDatabase({ url: address }));
    const run = (text: string) => db.read("run", (orm) => orm.run(sql.raw(text)));
    const all = (text: string) => db.read("read", (orm) => orm.all(sql.raw(text)));
    await applyMigrations(db, before, 1);
    await run(insertTask("one", "chat"));
    await run(insertTask("two", "completion"));
    await run(insertAttempt("one"));
    await expect(run(insertTask("three", "embedding"))).rejects.toThrow();

    expect(await applyMigrations(db, migrations, 2)).toEqual(later);
    const kinds = await all("select id, kind, cost_micros from tasks order by id");
    expect(kinds).toEqual([
      { id: "one", kind: "chat", cost_micros: 7n },
      { id: "two", kind: "completion", cost_micros: 7n },
    ]);
    expect(await all("select task_id from attempts")).toEqual([{ task_id: "one" }]);
    await run(insertTask("three", "embedding"));
    await run(insertAttempt("three"));
    // An attempt still belongs to a task, and the rows of before are as sound as the new ones.
    expect(await all("pragma foreign_keys")).toEqual([{ foreign_keys: 1n }]);
    await expect(run(insertAttempt("four"))).rejects.toThrow();
    await expect(run("delete from tasks where id = 'one'")).rejects.toThrow();
    expect(await all("pragma foreign_key_check")).toEqual([]);
    expect(await all("pragma integrity_check")).toEqual([{ integrity_check: "ok" }]);
    const plan = await all("explain query plan select * from tasks where account_id = 'a'");
    expect(plan).toMatchObject([{ detail: expect.stringContaining("tasks_by_account") }]);
  }
});

test("what was on its way out before it was noted who asked is still on its way", async () => {
  await using db = openLocalDatabase({ url: ":memory:" });
  const run = (text: string) => db.read("run", (orm) => orm.run(sql.raw(text)));
  const all = (text: string) => db.read("read", (orm) => orm.all(sql.raw(text)));
  const migrations = await readMigrations();
  const before = migrations.filter(({ name }) => name < "0007");
  await applyMigrations(db, before, 1);
  const address = `0x${"5".repeat(40)}`;
  for (const text of [
    `insert into accounts (id, kind, name, status, concurrency_max, created_at)
      values ('a', 'consumer', 'x', 'active', 1, 1)`,
    "insert into people values ('p', 'P', 1, 1)",
    "insert into members values ('a', 'p', 'owner', 1)",
    `insert into invitations (id, account_id, role, name, secret_hash, created_at, expires_at)
      values ('i', 'a', 'builder', 'Bob', 'h', 1, 9)`,
    "insert into payouts values ('pyt_1', 'CREDIT', '0x1', 1, 5, 3)",
    `insert into withdrawals values
      ('gone', 'a', 'CREDIT', 5, '${address}', 'paid out', 'pyt_1', 1, 3),
      ('due', 'a', 'CREDIT', 7, '${address}', 'queued', null, 4, 4),
      ('late', 'a', 'CREDIT', 9, '${address}', 'waiting', null, 5, 5)`,
    `insert into approvals values
      ('done', 'mint', 'a', 'CREDIT', 5, 'x', 'k', 'l', 'approved', 1, 2),
      ('open', 'mint', 'a', 'CREDIT', 5, 'x', 'k', null, 'pending', 1, null)`,
  ]) {
    await run(text);
  }
  const later = migrations.filter(({ name }) => name >= "0007").map(({ name }) => name);
  expect(await applyMigrations(db, migrations, 2)).toEqual(later);
  expect(await all("select id, queued_at, approved_by from withdrawals order by id")).toEqual([
    { id: "due", queued_at: 4n, approved_by: null },
    { id: "gone", queued_at: 1n, approved_by: null },
    { id: "late", queued_at: null, approved_by: null },
  ]);
  // What was approved was given then, and is not given by the timer.
  expect(await undoneApprovals(db, { beforeMs: 99, limit: 9 })).toEqual([]);
  const by = { decidedBy: "l", decidedByAccount: "ops", atMs: 6 };
  expect(await decideApproval(db, { id: "open", state: "approved", ...by })).toBe(true);
  const within = { limitMicros: 20n, atMs: 7 };
  const late = { id: "late", accountId: "a", address, asset: "CREDIT", amountMicros: 9n };
  expect(await queueWithdrawal(db, late, within)).toBe(false);
  expect(await queueWithdrawal(db, late, { ...within, limitMicros: 21n })).toBe(true);
  const payout = { id: "pyt_1", asset: "CREDIT", createdAt: 3 };
  expect(await paidByAddress(db, payout)).toEqual([{ address, micros: 5n }]);
  expect(await findProof(db, { payoutId: "pyt_1", address })).toBeNull();
  const { items } = await listMembers(db, { accountId: "a", limit: 9 });
  expect(items).toMatchObject([{ personId: "p", invitedBy: null }]);
  expect(await all("pragma foreign_key_check")).toEqual([]);
  expect(await all("pragma integrity_check")).toEqual([{ integrity_check: "ok" }]);
});

function insertTask(id: string, kind: string): string {
  return (
    "insert into tasks (id, account_id, key_id, kind, model, region, strategy, class, streamed, " +
    "attempts, state, prompt_tokens, completion_tokens, hold_micros, cost_micros, created_at, " +
    `ended_at) values ('${id}', 'a', 'k', '${kind}', 'm', 'weur', 'cost', 'public', 0, 1, ` +
    "'settled', 1, 1, 9, 7, 1, 2)"
  );
}

function insertAttempt(taskId: string): string {
  return (
    "insert into attempts (task_id, number, worker_id, outcome, started_at, ended_at, tokens) " +
    `values ('${taskId}', 1, 'w', 'complete', 1, 2, 1)`
  );
}
