import { join } from "node:path";
import { expect, test } from "vitest";
import { createEndpoint } from "../../../dev/libsql/endpoint.ts";
import { listen } from "../../../dev/libsql/listen.ts";
import { openLocalDatabase } from "../../../dev/libsql/open-local.ts";
import { readMigrations } from "../../../dev/libsql/read-migrations.ts";
import { countAccounts } from "../../../edge/db/accounts.ts";
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
    expect(await countAccounts(db)).toBe(0);
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
