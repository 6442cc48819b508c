import { expect, test } from "vitest";
import { listen } from "../../../dev/libsql/listen.ts";
import { answerOf, close, execute, integer, makeHranaWorld, post, text } from "./hrana.ts";

test("versions 2 and 3 in JSON are spoken, and Protobuf is declined", async () => {
  await using world = await makeHranaWorld();
  const statusOf = async (path: string) =>
    (await world.fetch(new Request(`http://libsql.invalid${path}`))).status;
  expect(await Promise.all(["/v2", "/v3", "/health"].map(statusOf))).toEqual([200, 200, 200]);
  expect(await Promise.all(["/v3-protobuf", "/", "/v3/pipeline"].map(statusOf))).toEqual([
    404, 404, 404,
  ]);
  const requests = [execute("select 1"), close];
  expect((await world.fetch(post("/v2/pipeline", { requests }))).status).toBe(200);
});

test("a statement gives columns, rows, changes and the last row's id", async () => {
  await using world = await makeHranaWorld();
  const answer = await world.pipe([
    execute("create table t (id integer primary key, name text)"),
    execute("insert into t (name) values ('a'), ('b')"),
    execute("insert into t (name) values ('c') returning id, name"),
    execute("select id, name as n, 1 + 1 from t where id > ?", [integer(2)]),
    { type: "execute", stmt: { sql: "select * from t", want_rows: false } },
    close,
  ]);
  expect(answer.baton).toBeNull();
  expect(answer.results.map((result) => result.response?.result)).toEqual([
    { cols: [], rows: [], affected_row_count: 0, last_insert_rowid: "0" },
    { cols: [], rows: [], affected_row_count: 2, last_insert_rowid: "2" },
    {
      cols: [
        { name: "id", decltype: "INTEGER" },
        { name: "name", decltype: "TEXT" },
      ],
      rows: [[integer(3), text("c")]],
      affected_row_count: 1,
      last_insert_rowid: "3",
    },
    {
      cols: [
        { name: "id", decltype: "INTEGER" },
        { name: "n", decltype: "TEXT" },
        { name: "1 + 1", decltype: null },
      ],
      rows: [[integer(3), text("c"), integer(2)]],
      affected_row_count: 0,
      last_insert_rowid: null,
    },
    expect.objectContaining({ rows: [] }),
    undefined,
  ]);
});

test("arguments bind by place and by name, with and without the sigil", async () => {
  await using world = await makeHranaWorld();
  const sql = "select ?, :a, @b, $c, ?2, :a, 'not :d', [?]  -- ? :e\n from (select 9 as [?])";
  const named_args = [
    { name: ":a", value: integer(2) },
    { name: "b", value: integer(3) },
    { name: "$c", value: integer(4) },
    { name: "d", value: integer(5) },
  ];
  const stmt = { sql, args: [integer(1)], named_args };
  const answer = await world.pipe([{ type: "execute", stmt }, close]);
  expect(answer.results[0]?.response?.result?.rows).toEqual([
    [1, 2, 3, 4, 2, 2].map(integer).concat(text("not :d"), integer(9)),
  ]);
});

test("a failing statement is a result with SQLite's code, and the next still runs", async () => {
  await using world = await makeHranaWorld();
  const answer = await world.pipe([
    execute("create table t (id integer primary key)"),
    execute("insert into t values (1)"),
    execute("insert into t values (1)"),
    execute("selec"),
    execute("select 1; select 2"),
    { type: "execute", stmt: { sql_id: 7 } },
    execute("select ?", [text("a\0b")]),
    execute("select count(*) from t"),
    close,
  ]);
  expect(answer.results.map((result) => result.error?.code ?? result.type)).toEqual([
    "ok",
    "ok",
    "SQLITE_CONSTRAINT_PRIMARYKEY",
    "SQLITE_ERROR",
    "SQL_MANY_STATEMENTS",
    "SQL_NOT_STORED",
    "SQLITE_MISMATCH",
    "ok",
    "ok",
  ]);
  expect(answer.results[7]?.response?.result?.rows).toEqual([[integer(1)]]);
});

test("stored SQL, sequences and descriptions serve one stream", async () => {
  await using world = await makeHranaWorld();
  const answer = await world.pipe([
    { type: "store_sql", sql_id: 1, sql: "create table t (id integer); insert into t values (4)" },
    { type: "sequence", sql_id: 1 },
    { type: "store_sql", sql_id: 2, sql: "select id from t where id > :least" },
    { type: "describe", sql_id: 2 },
    { type: "close_sql", sql_id: 1 },
    { type: "sequence", sql_id: 1 },
    { type: "store_sql", sql_id: 2, sql: "select 2" },
    close,
    execute("select 1"),
  ]);
  expect(answer.results.map((result) => result.error?.code ?? result.type).join(" ")).toBe(
    "ok ok ok ok ok SQL_NOT_STORED SQL_STORED ok STREAM_CLOSED",
  );
  expect(answer.results[3]?.response?.result).toEqual({
    params: [{ name: ":least" }],
    cols: [{ name: "id", decltype: "INTEGER" }],
    is_explain: false,
    is_readonly: true,
  });
});

test("settings of one pipeline do not reach the next", async () => {
  await using world = await makeHranaWorld();
  await world.pipe([
    execute("PRAGMA foreign_keys = OFF"),
    execute("create temp table scratch (a)"),
    execute("begin"),
    execute("create table unfinished (a)"),
    close,
  ]);
  expect(await world.rows("PRAGMA foreign_keys")).toEqual([[integer(1)]]);
  expect(await world.rows("select name from sqlite_master")).toEqual([]);
  expect(await world.rows("select name from temp.sqlite_master")).toEqual([]);
  expect(await world.rows("PRAGMA journal_mode")).toEqual([[text("wal")]]);
});

test("an explained write does not spoil the commits after it", async () => {
  await using world = await makeHranaWorld();
  await world.pipe([execute("create table t (a)"), close]);
  await world.rows("explain query plan insert into t values (1)");
  const write = [execute("begin"), execute("insert into t values (2)"), execute("commit"), close];
  const { results } = await world.pipe(write);
  expect(results.map((result) => result.type)).toEqual(["ok", "ok", "ok", "ok"]);
});

test("a body that is not a request is refused and disturbs nothing", async () => {
  await using world = await makeHranaWorld();
  const { baton } = await world.pipe([execute("begin"), execute("create table t (a)")]);
  const stepOn = (condition: string) =>
    `{"requests":[{"type":"batch","batch":{"steps":[
      {"condition":${condition},"stmt":{"sql":"select 1"}}]}}]}`;
  const nested = (depth: number) =>
    `${'{"type":"not","cond":'.repeat(depth)}{"type":"is_autocommit"}${"}".repeat(depth)}`;
  const bad = [
    "",
    "{",
    "[]",
    "null",
    { requests: {} },
    { baton, requests: [{ type: "drop" }] },
    { baton, requests: [execute("select ?", [{ type: "integer", value: "9223372036854775808" }])] },
    { baton, requests: [{ type: "execute", stmt: { sql: "select ?", args: [5] } }] },
    { baton, requests: [execute("select ?", [{ type: "blob", base64: "*" }])] },
    stepOn('{"type":"ok","step":0}'),
    stepOn(nested(40)),
    stepOn(nested(50_000)),
  ];
  for (const body of bad) {
    const answer = await answerOf(await world.fetch(post("/v3/pipeline", body)));
    expect([answer.status, answer.code]).toEqual([400, "HTTP_BODY_INVALID"]);
  }
  // The stream the bad bodies named is as it was: inside its transaction, under the same baton.
  const last = await world.pipe([execute("commit"), close], baton);
  expect(last.results.map((result) => result.type)).toEqual(["ok", "ok"]);
  expect(await world.rows("select count(*) from t")).toEqual([[integer(0)]]);
});

test("a body over the limit is refused before it is read whole", async () => {
  await using world = await makeHranaWorld({ bodyBytesMax: 1000 });
  const requests = [execute("select ?", [text("x".repeat(2000))]), close];
  const answer = await answerOf(await world.fetch(post("/v3/pipeline", { requests })));
  expect([answer.status, answer.code]).toEqual([413, "HTTP_BODY_TOO_LARGE"]);
});

test("only the right bearer token is let in", async () => {
  await using world = await makeHranaWorld({ authToken: "secret" });
  const body = { requests: [execute("select 1"), close] };
  const statusWith = async (headers: Record<string, string>) =>
    (await world.fetch(post("/v3/pipeline", body, headers))).status;
  expect(await statusWith({})).toBe(401);
  expect(await statusWith({ authorization: "Bearer secreT" })).toBe(401);
  expect(await statusWith({ authorization: "Bearer secret" })).toBe(200);
});

test("the port serves the loopback interface and is free again afterwards", async () => {
  await using world = await makeHranaWorld();
  const body = JSON.stringify({ requests: [execute("select 5"), close] });
  let url = "";
  {
    await using listening = await listen(world.fetch);
    url = listening.url;
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    const response = await fetch(`${url}/v2/pipeline`, { method: "POST", body });
    expect((await answerOf(response)).results[0]?.response?.result?.rows).toEqual([[integer(5)]]);
  }
  await expect(fetch(`${url}/health`)).rejects.toThrow("fetch failed");
});
