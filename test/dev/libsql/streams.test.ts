import Libsql from "libsql";
import { afterEach, expect, test, vi } from "vitest";
import { close, execute, integer, makeHranaWorld } from "./hrana.ts";

afterEach(() => {
  vi.useRealTimers();
});

test("a stream goes on under the baton of its last answer, and only that", async () => {
  await using world = await makeHranaWorld();
  const first = await world.pipe([execute("create temp table mine (a)")]);
  const second = await world.pipe([execute("insert into mine values (1)")], first.baton);
  expect(second.baton).not.toBe(first.baton);
  const reused = await world.pipe([execute("select 1")], first.baton);
  expect([reused.status, reused.code]).toEqual([400, "BATON_INVALID"]);
  const last = await world.pipe([execute("select a from mine"), close], second.baton);
  expect(last.results[0]?.response?.result?.rows).toEqual([[integer(1)]]);
  expect(last.baton).toBeNull();
  expect((await world.pipe([execute("select 1")], second.baton)).code).toBe("BATON_INVALID");
});

test("a baton used twice at once serves one of the two", async () => {
  await using world = await makeHranaWorld({ busyTimeoutMs: 0 });
  const { baton } = await world.pipe([execute("select 1")]);
  const answers = await Promise.all([
    world.pipe([execute("select 2"), close], baton),
    world.pipe([execute("select 3"), close], baton),
  ]);
  expect(answers.map((answer) => answer.status).toSorted()).toEqual([200, 400]);
});

test("a transaction across pipelines is seen by nobody until it commits", async () => {
  await using world = await makeHranaWorld();
  await world.pipe([execute("create table t (a)"), close]);
  const begun = await world.pipe([execute("begin"), execute("insert into t values (1)")]);
  expect(await world.rows("select a from t")).toEqual([]);
  const state = await world.pipe([{ type: "get_autocommit" }], begun.baton);
  expect(state.results[0]?.response?.is_autocommit).toBe(false);
  await world.pipe([execute("commit"), close], state.baton);
  expect(await world.rows("select a from t")).toEqual([[integer(1)]]);
});

test("a baton nobody uses expires, and its transaction is undone", async () => {
  await using world = await makeHranaWorld({ batonMs: 10_000 });
  await world.pipe([execute("create table t (a)"), close]);
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const begun = await world.pipe([execute("begin immediate"), execute("insert into t values (1)")]);
  vi.advanceTimersByTime(9_999);
  const renewed = await world.pipe([execute("insert into t values (2)")], begun.baton);
  vi.advanceTimersByTime(9_999);
  expect(renewed.status).toBe(200);
  vi.advanceTimersByTime(1);
  expect((await world.pipe([execute("commit")], renewed.baton)).code).toBe("BATON_INVALID");
  // The lock is free: a write succeeds at once.
  await world.pipe([execute("insert into t values (3)"), close]);
  expect(await world.rows("select a from t")).toEqual([[integer(3)]]);
});

test("pipelines that come at once run one after the other, transactions and all", async () => {
  await using world = await makeHranaWorld();
  await world.pipe([execute("create table t (a)"), execute("insert into t values (0)"), close]);
  const increment = [execute("begin"), execute("update t set a = a + 1"), execute("commit"), close];
  const answers = await Promise.all(Array.from({ length: 40 }, () => world.pipe(increment)));
  expect(answers.every(({ results }) => results.every(({ type }) => type === "ok"))).toBe(true);
  expect(await world.rows("select a from t")).toEqual([[integer(40)]]);
});

test("a writer waits for another to let go, and the wait does not stop that one", async () => {
  let waits = 0;
  let free = async (): Promise<void> => {};
  const sleep = async (): Promise<void> => {
    if (++waits === 3) await free();
  };
  await using world = await makeHranaWorld({ sleep });
  const begun = await world.pipe([execute("create table t (a)"), execute("begin immediate")]);
  free = async () => {
    await world.pipe([execute("insert into t values (1)"), execute("commit"), close], begun.baton);
  };
  const batch = [execute("begin immediate"), execute("update t set a = a + 1"), execute("commit")];
  const written = await world.pipe([...batch, close]);
  expect(written.results.map((result) => result.type)).toEqual(["ok", "ok", "ok", "ok"]);
  expect(waits).toBe(3);
  expect(await world.rows("select a from t")).toEqual([[integer(2)]]);
});

test("a lock held too long is SQLITE_BUSY, and the endpoint writes once it is free", async () => {
  let nowMs = 0;
  const sleep = async (ms: number): Promise<void> => void (nowMs += ms);
  await using world = await makeHranaWorld({ sleep, nowMs: () => nowMs, busyTimeoutMs: 100 });
  await world.pipe([execute("create table t (a)"), close]);
  const other = new Libsql(world.path);
  const write = [
    execute("begin immediate"),
    execute("insert into t values (1)"),
    execute("commit"),
    close,
  ];
  for (let round = 0; round < 3; round++) {
    other.exec("begin immediate");
    const busy = await world.pipe(write);
    expect(busy.results[0]?.error?.code).toBe("SQLITE_BUSY");
    other.exec("rollback");
    const free = await world.pipe(write);
    expect(free.results.map((result) => result.type)).toEqual(["ok", "ok", "ok", "ok"]);
  }
  other.close();
  expect(await world.rows("select count(*) from t")).toEqual([[integer(3)]]);
});

test("more streams than the limit are refused, and a closed endpoint refuses all", async () => {
  const world = await makeHranaWorld();
  const open = () => world.pipe([execute("select 1")]);
  const answers = await Promise.all(Array.from({ length: 65 }, open));
  expect(answers.filter((answer) => answer.code === "TOO_MANY_STREAMS")).toHaveLength(1);
  await world[Symbol.asyncDispose]();
  expect((await open()).status).toBe(503);
  expect((await world.pipe([execute("select 1"), close])).status).toBe(503);
});
