import { expect, test } from "vitest";
import { close, execute, integer, makeHranaWorld, post, text } from "./hrana.ts";

const ok = (step: number) => ({ type: "ok", step });
const error = (step: number) => ({ type: "error", step });
const not = (cond: object) => ({ type: "not", cond });
const and = (...conds: object[]) => ({ type: "and", conds });
const or = (...conds: object[]) => ({ type: "or", conds });
const isAutocommit = { type: "is_autocommit" };

function step(sql: string, condition?: object): object {
  return { stmt: { sql }, ...(condition === undefined ? {} : { condition }) };
}

async function endings(steps: readonly object[]): Promise<string> {
  await using world = await makeHranaWorld();
  const answer = await world.pipe([{ type: "batch", batch: { steps } }, close]);
  const { step_results = [], step_errors = [] } = answer.results[0]?.response?.result ?? {};
  return step_results
    .map((result, at) => (result !== null ? "+" : (step_errors[at] ?? null) !== null ? "!" : "."))
    .join("");
}

test("a step runs only where its condition on earlier steps holds", async () => {
  const good = step("select 1");
  const bad = step("selec");
  const when = (condition: object) => step("select 2", condition);
  expect(await endings([good, bad, good])).toBe("+!+");
  expect(await endings([good, when(ok(0)), when(error(0)), when(not(ok(0)))])).toBe("++..");
  expect(await endings([bad, when(ok(0)), when(error(0)), when(not(ok(0)))])).toBe("!.++");
  // A skipped step neither succeeded nor failed.
  expect(await endings([bad, when(ok(0)), when(ok(1)), when(error(1))])).toBe("!...");
  expect(await endings([good, bad, when(and(ok(0), error(1))), when(and(ok(0), ok(1)))])).toBe(
    "+!+.",
  );
  expect(await endings([good, bad, when(or(ok(1), ok(0))), when(or()), when(and())])).toBe("+!+.+");
});

test("a step can ask whether the stream is outside a transaction", async () => {
  expect(
    await endings([
      step("select 1", isAutocommit),
      step("begin"),
      step("select 2", isAutocommit),
      step("select 3", not(isAutocommit)),
      step("commit", not(isAutocommit)),
      step("select 4", isAutocommit),
    ]),
  ).toBe("++.+++");
});

test("the client's shape of a batch commits all of it or nothing", async () => {
  await using world = await makeHranaWorld();
  await world.pipe([execute("create table t (id integer primary key)"), close]);
  const batch = (...sqls: string[]) => {
    const steps = [
      step("begin immediate"),
      ...sqls.map((sql, at) => step(sql, ok(at))),
      step("commit", ok(sqls.length)),
      step("rollback", not(ok(sqls.length + 1))),
    ];
    return world.pipe([{ type: "batch", batch: { steps } }, close]);
  };
  const insert = (id: number) => `insert into t values (${id})`;
  await batch(insert(1), insert(2));
  const failed = await batch(insert(3), insert(1), insert(4));
  const codes = failed.results[0]?.response?.result?.step_errors?.map((error) => error?.code);
  expect(codes).toHaveLength(6);
  expect(codes?.filter((code) => code !== undefined)).toEqual(["SQLITE_CONSTRAINT_PRIMARYKEY"]);
  expect(await world.rows("select id from t")).toEqual([[integer(1)], [integer(2)]]);
});

test("a cursor gives a batch's steps as lines, after its baton", async () => {
  await using world = await makeHranaWorld();
  const batch = {
    steps: [step("select 1 as a union all select 2"), step("selec"), step("select 3", ok(1))],
  };
  const response = await world.fetch(post("/v3/cursor", { batch }));
  const lines = (await response.text())
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(lines).toEqual([
    { baton: expect.any(String), base_url: null },
    { type: "step_begin", step: 0, cols: [{ name: "a", decltype: null }] },
    { type: "row", row: [integer(1)] },
    { type: "row", row: [integer(2)] },
    { type: "step_end", affected_row_count: 0, last_insert_rowid: null },
    { type: "step_error", step: 1, error: expect.objectContaining({ code: "SQLITE_ERROR" }) },
  ]);
  const last = await world.pipe([execute("select 'still open'"), close], lines[0].baton);
  expect(last.results[0]?.response?.result?.rows).toEqual([[text("still open")]]);
});
