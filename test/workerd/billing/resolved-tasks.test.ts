import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { expect, test } from "vitest";
import { ResolvedTasks } from "../../../edge/billing/resolved-tasks.ts";
import { accountObject } from "../../../edge/objects.ts";
import { newId } from "../../../shared/ids.ts";
import { postOf, termsFor } from "./closings.ts";
import { env } from "../routes/edge-client.ts";
import { type Consumer, newFunded, summaryOf } from "../world.ts";

const dayMs = 24 * 3_600_000;

function objectOf({ accountId }: Consumer) {
  return accountObject(env, accountId);
}

/** As many tasks, made at that time. */
function tasksOf(count: number, createdMs: number) {
  return Array.from({ length: count }, () => ({ task: newId("tsk"), created_ms: createdMs }));
}

/** Storage that counts what it is billed for. */
function counting(sql: SqlStorage): { readonly sql: SqlStorage; readonly written: () => number } {
  const cursors: { readonly rowsWritten: number }[] = [];
  const exec: SqlStorage["exec"] = (query, ...bindings) => {
    const cursor = sql.exec(query, ...bindings);
    cursors.push(cursor);
    return cursor as never;
  };
  const written = () => cursors.reduce((sum, { rowsWritten }) => sum + rowsWritten, 0);
  return { sql: { exec } as SqlStorage, written };
}

test("a closed task costs one row, and nothing to be forgotten with its day", async () => {
  await runInDurableObject(objectOf(await newFunded()), (_, { storage }) => {
    const { sql, written } = counting(storage.sql);
    const resolved = new ResolvedTasks(sql);
    resolved.add(tasksOf(1, 5 * dayMs));
    const first = written();
    resolved.add(tasksOf(100, 5 * dayMs + 1));
    expect(written() - first).toBe(100);
    resolved.forgetBefore(6 * dayMs);
    expect(written() - first).toBe(100);
  });
});

test("closed tasks are known by the day they were made, until that is forgotten", async () => {
  await runInDurableObject(objectOf(await newFunded()), (_, { storage }) => {
    const resolved = new ResolvedTasks(storage.sql);
    const [old, late, next] = [0, dayMs - 1, dayMs].map((ms) => tasksOf(2, ms).toSorted());
    const all = [...(old ?? []), ...(late ?? []), ...(next ?? [])];
    expect(resolved.among(all)).toEqual(new Set());
    resolved.add(all);
    const ids = (tasks = all) => new Set(tasks.map(({ task }) => task));
    expect(resolved.among([...all, ...tasksOf(3, 0)])).toEqual(ids());
    resolved.forgetBefore(dayMs - 1);
    expect(resolved.among(all)).toEqual(ids());
    resolved.forgetBefore(dayMs);
    expect(resolved.among(all)).toEqual(ids(next));
  });
});

test("a closing that fails half-way leaves no task closed, in a new day either", async () => {
  await runInDurableObject(objectOf(await newFunded()), (_, { storage }) => {
    const resolved = new ResolvedTasks(storage.sql);
    const tasks = tasksOf(2, 9 * dayMs);
    const fail = () => {
      storage.transactionSync(() => {
        resolved.add(tasks);
        throw new Error("half-way");
      });
    };
    expect(fail).toThrow("half-way");
    expect(resolved.among(tasks)).toEqual(new Set());
    resolved.add(tasks);
    expect(resolved.among(tasks).size).toBe(2);
  });
});

test("tasks and mints that an earlier version had in one table stay closed and given", async () => {
  const consumer = await newFunded(1_000);
  const [today, yesterday] = [0, 1].map((days) => {
    const createdMs = Date.now() - days * dayMs + 60_000;
    return postOf(termsFor(consumer, { created_ms: createdMs }), newId("acct"), 7);
  });
  const closings = [today, yesterday].flatMap((closing) => closing ?? []);
  await runInDurableObject(objectOf(consumer), (_, { storage }) => {
    storage.sql.exec(`
      CREATE TABLE resolutions (
        task_id TEXT PRIMARY KEY, kind TEXT NOT NULL, micros INTEGER NOT NULL,
        at_ms INTEGER NOT NULL);
      CREATE INDEX resolutions_by_time ON resolutions (at_ms);
      INSERT INTO resolutions VALUES ('tfr_old', 'mint', 50, 0)`);
    for (const { terms } of closings) {
      storage.sql.exec("INSERT INTO resolutions VALUES (?, 'posted', 7, 1)", terms.task);
    }
  });
  await evictDurableObject(objectOf(consumer));
  const mint = { id: "tfr_old", micros: 50n };
  expect(await objectOf(consumer).mint(mint)).toMatchObject({ kind: "minted" });
  expect(await objectOf(consumer).mint({ ...mint, micros: 51n })).toMatchObject({
    code: "idempotency_conflict",
  });
  expect(await objectOf(consumer).close(closings)).toEqual([]);
  expect((await summaryOf(consumer)).balance).toBe(1_000n);
});
