import * as fc from "fast-check";
import { expect, test } from "vitest";
import { type CsvCell, toCsv } from "../../shared/csv.ts";

const lineOf = (...cells: CsvCell[]) =>
  toCsv({ columns: ["a"], rows: [cells] }).slice("a\r\n".length);

test.each<[string, CsvCell, string]>([
  ["text", "octo-tiny", "octo-tiny"],
  ["a comma", "a,b", '"a,b"'],
  ["a quote", 'say "hi"', '"say ""hi"""'],
  ["a line break", "a\r\nb", '"a\r\nb"'],
  ["nothing", null, ""],
  ["an empty text", "", ""],
  ["a number below zero, which runs nothing", -5, "-5"],
  ["more than a float holds", 2n ** 63n, "9223372036854775808"],
  ["yes or no", false, "false"],
])("%s is a cell", (_, cell, text) => {
  expect(lineOf(cell)).toBe(`${text}\r\n`);
});

test.each(["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1"])(
  "a text that a spreadsheet would run, %j, is not run",
  (text) => {
    expect(lineOf(text).replace(/^"/, "")).toMatch(/^'/);
  },
);

/** RFC 4180 read back, cell by cell. */
function parse(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  for (const [, quoted, plain = "", end] of text.matchAll(
    /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/g,
  )) {
    row.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === ",") continue;
    rows.push(row);
    row = [];
  }
  return rows;
}

test("whatever the texts are, the table reads back as it was, with formulas disarmed", () => {
  const text = fc.string({
    unit: fc.constantFrom("a", ",", '"', "\r", "\n", "=", "-", " ", "é", "'"),
  });
  const table = fc.array(fc.tuple(text, text), { maxLength: 5 });
  fc.assert(
    fc.property(table, (rows) => {
      const read = parse(toCsv({ columns: ["x", "y"], rows }));
      const disarmed = rows.map((row) =>
        row.map((cell) => (/^[=\-\r\n]/.test(cell) ? `'${cell}` : cell)),
      );
      expect(read).toEqual([["x", "y"], ...disarmed]);
    }),
  );
});
