import * as fc from "fast-check";
import { expect, test } from "vitest";
import { readSql } from "../../../dev/libsql/parameters.ts";
import type { WireValue } from "../../../dev/libsql/values.ts";
import { integer, makeHranaWorld } from "./hrana.ts";

const integerMax = 2n ** 63n - 1n;

const valueArbitrary: fc.Arbitrary<WireValue> = fc.oneof(
  fc.constant<WireValue>({ type: "null" }),
  fc.bigInt({ min: -integerMax - 1n, max: integerMax }).map(integer),
  // SQLite stores NaN as NULL, and JSON has neither it nor the infinities.
  fc
    .double({ noNaN: true, noDefaultInfinity: true })
    .map((value): WireValue => ({ type: "float", value: value === 0 ? 0 : value })),
  fc
    .string({ unit: "binary" })
    .filter((value) => !value.includes("\0"))
    .map((value): WireValue => ({ type: "text", value })),
  fc.uint8Array().map((bytes): WireValue => ({
    type: "blob",
    base64: Buffer.from(bytes).toString("base64"),
  })),
);

test("every value comes back as it was sent", async () => {
  await using world = await makeHranaWorld();
  await fc.assert(
    fc.asyncProperty(fc.array(valueArbitrary, { minLength: 1, maxLength: 5 }), async (values) => {
      const marks = values.map(() => "?").join(", ");
      expect(await world.rows(`select ${marks}`, values)).toEqual([values]);
    }),
    { numRuns: 150 },
  );
});

test("integers keep every bit up to the ends of 64", async () => {
  await using world = await makeHranaWorld();
  const edges = [0n, 2n ** 53n, 2n ** 53n + 1n, integerMax, -integerMax, -integerMax - 1n];
  const values = [...edges, ...edges.map((edge) => -edge).filter((edge) => edge <= integerMax)];
  const [row] = await world.rows(`select ${values.map(() => "?").join(",")}`, values.map(integer));
  expect(row).toEqual(values.map(integer));
  expect(
    await world.rows("select typeof(?), ? = 9223372036854775807", [
      integer(integerMax),
      integer(integerMax),
    ]),
  ).toEqual([[{ type: "text", value: "integer" }, integer(1)]]);
});

test("a float that is whole stays a float", async () => {
  await using world = await makeHranaWorld();
  const five: WireValue = { type: "float", value: 5 };
  expect(await world.rows("select typeof(?1), ?1", [five])).toEqual([
    [{ type: "text", value: "real" }, five],
  ]);
});

test("parameters are numbered as SQLite numbers them", () => {
  const cases: [string, (string | null)[]][] = [
    ["select 1", []],
    ["select ?, ?", [null, null]],
    ["select ?3, ?", [null, null, "?3", null]],
    ["select :a, ?, :a, @a, $a", [":a", null, "@a", "$a"]],
    ["select '?', \":a\", `@b`, [$c], '' '?', 'it''s ?'", []],
    ["select 1 -- ?\n, /* :a */ ? /* ?", [null]],
    ["select a$b, col1?2 from t", ["", "?2"].map((name) => (name === "" ? null : name))],
    ["select json ->> '$.a' ->> ?", [null]],
  ];
  for (const [sql, parameters] of cases) expect(readSql(sql).parameters, sql).toEqual(parameters);
});

test("a second statement is noticed, a trailing semicolon or a trigger's body is not one", () => {
  expect(readSql("select 1; select 2").hasTail).toBe(true);
  expect(readSql("select 1; -- done\n ; /* really */").hasTail).toBe(false);
  expect(readSql("select ';'; ").hasTail).toBe(false);
  const trigger = "create trigger a after insert on t begin delete from t; select 1; end;";
  expect(readSql(trigger).hasTail).toBe(false);
});
