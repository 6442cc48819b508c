import { join } from "node:path";
import { inspect } from "node:util";
import type { Client } from "@libsql/client";
import { createClient } from "@libsql/client";
import { expect, test } from "vitest";
import { createAccount, findAccount, listAccounts } from "../../../edge/db/people/accounts.ts";
import { createDatabase } from "../../../edge/db/client.ts";
import type { Database } from "../../../edge/db/database.ts";
import { openDatabase } from "../../../edge/db/database.ts";
import { applyMigrations } from "../../../edge/db/migrate.ts";
import { balanceOf } from "../../helpers/ledger-rows.ts";
import { recordSettlements } from "../../../edge/db/ledger/tasks.ts";
import { createEndpoint } from "../../../dev/libsql/endpoint.ts";
import { readMigrations } from "../../../dev/libsql/read-migrations.ts";
import { sampleAccount, sampleSettlements } from "./samples.ts";
import { temporaryFolder } from "./worlds.ts";

interface LockWorld extends AsyncDisposable {
  readonly db: Database;
  readonly url: string;
  /** How many clients were opened so far. */
  readonly opened: () => number;
  /** Another process's write lock. */
  readonly lock: Client;
  /** The waits asked for; each first runs `onWait`. */
  readonly waits: number[];
  onWait: () => Promise<unknown>;
}

async function makeLockWorld(): Promise<LockWorld> {
  const stack = new AsyncDisposableStack();
  const url = `file:${join(await temporaryFolder(stack), "octo.db")}`;
  const lock = createClient({ url });
  stack.defer(() => lock.close());
  let opened = 0;
  const waits: number[] = [];
  const world = {
    url,
    lock,
    waits,
    opened: () => opened,
    onWait: async (): Promise<unknown> => undefined,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
  const db = stack.use(
    openDatabase({
      connect: () => {
        opened += 1;
        return createClient({ url, intMode: "bigint" });
      },
      random: () => 1,
      sleep: async (ms) => {
        waits.push(ms);
        await world.onWait();
      },
    }),
  );
  await applyMigrations(db, await readMigrations(), 0);
  return Object.assign(world, { db });
}

test("a bare client that met a busy lock fails for ever, so ours is replaced", async () => {
  await using world = await makeLockWorld();
  const bare = createClient({ url: world.url, concurrency: 1 });
  const write = () => bare.batch(["create table if not exists t (a)"], "write");
  const held = await world.lock.transaction("write");
  await expect(write()).rejects.toMatchObject({ code: "SQLITE_BUSY" });
  await held.rollback();
  await expect(write()).rejects.toMatchObject({ code: "SQLITE_BUSY" });
  bare.close();
});

test("a write that meets a lock is done once the lock is gone, on a fresh client", async () => {
  await using world = await makeLockWorld();
  const held = await world.lock.transaction("write");
  world.onWait = async () => {
    if (world.waits.length === 3) await held.rollback();
  };
  await createAccount(world.db, sampleAccount());
  expect(world.waits).toEqual([25, 50, 100]);
  expect(world.opened()).toBe(4);
  await createAccount(world.db, sampleAccount({ id: "acct_bob" }));
  expect(world.opened()).toBe(4);
  expect((await listAccounts(world.db, { limit: 9 })).items).toHaveLength(2);
});

test("a lock that stays is reported as unavailable, and the next write succeeds", async () => {
  await using world = await makeLockWorld();
  const held = await world.lock.transaction("write");
  await expect(createAccount(world.db, sampleAccount())).rejects.toMatchObject({
    code: "unavailable",
    message: "Cannot create the account: the database stayed busy",
    retryAfterS: 1,
  });
  expect(world.waits).toHaveLength(6);
  // Readers do not wait for a writer.
  expect(await findAccount(world.db, "acct_alice")).toBeNull();
  await held.rollback();
  await createAccount(world.db, sampleAccount());
  expect(await findAccount(world.db, "acct_alice")).not.toBeNull();
});

test("a client is closed only after the last that uses it", async () => {
  const events: string[] = [];
  let finishRead = (): void => {};
  const slow = new Promise<void>((done) => {
    finishRead = done;
  });
  let clients = 0;
  const db = openDatabase({
    connect: () => {
      const name = `client ${++clients}`;
      const client = createClient({ url: ":memory:", intMode: "bigint" });
      const busy = Object.assign(new Error("database is locked"), { code: "SQLITE_BUSY" });
      return Object.assign(client, {
        batch: () => (name === "client 1" ? Promise.reject(busy) : Promise.resolve([])),
        close: () => events.push(`${name} closed`),
      });
    },
    sleep: async () => {},
  });
  const read = db.read("wait", () => slow);
  await db.write("write", () => []);
  expect(events).toEqual([]);
  finishRead();
  await read;
  expect(events).toEqual(["client 1 closed"]);
  await db[Symbol.asyncDispose]();
  expect(events).toEqual(["client 1 closed", "client 2 closed"]);
});

test("a lost connection is not tried again: the write may have been done", async () => {
  let requests = 0;
  const db = createDatabase({
    url: "http://libsql.invalid",
    fetch: async () => {
      requests += 1;
      throw new TypeError("network is down");
    },
  });
  await expect(createAccount(db, sampleAccount())).rejects.toMatchObject({ code: "unavailable" });
  expect(requests).toBe(1);
});

test("settlements sent again after their answer was lost are stored once", async () => {
  await using stack = new AsyncDisposableStack();
  const endpoint = stack.use(
    createEndpoint({ path: join(await temporaryFolder(stack), "octo.db") }),
  );
  let isAnswerLost = false;
  const fetch = async (request: Request): Promise<Response> => {
    const response = await endpoint.fetch(request);
    if (isAnswerLost) throw new TypeError("connection reset");
    return response;
  };
  const db = createDatabase({ url: "http://libsql.invalid", fetch });
  await applyMigrations(db, await readMigrations(), 0);
  isAnswerLost = true;
  const batch = sampleSettlements("tsk_one");
  await expect(recordSettlements(db, batch)).rejects.toMatchObject({ code: "unavailable" });
  isAnswerLost = false;
  expect((await recordSettlements(db, batch)).tasks).toBe(0);
  expect(await balanceOf(db, "acct_paul:earned")).toBe(4_000n);
});

test("an answer that is no database's is unavailable, and tells no SQL and no value", async () => {
  const json = { headers: { "content-type": "application/json" } };
  const answers = [
    () => new Response("bad gateway", { status: 502 }),
    () => new Response("<html>", json),
    () => Response.json({ baton: null, base_url: null, results: [] }),
  ];
  for (const answer of answers) {
    const db = createDatabase({ url: "http://libsql.invalid", fetch: async () => answer() });
    for (const attempt of [
      () => createAccount(db, sampleAccount({ name: "secret name" })),
      () => findAccount(db, "secret id"),
    ]) {
      const error: unknown = await attempt().catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: "unavailable" });
      expect(String(error)).toMatch(/^OctoError: Cannot (create|find) the account: the database /);
      expect(inspect(error, { depth: 9 })).not.toMatch(/secret |select|insert/);
    }
  }
});

test("a database whose client cannot be made is unavailable", async () => {
  const db = createDatabase({ url: "gopher://old" });
  await expect(findAccount(db, "acct_alice")).rejects.toMatchObject({ code: "unavailable" });
});
