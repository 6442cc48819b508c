import { describe, expect, test } from "vitest";
import { plainLine, plainText } from "../../cli/screen/plain-text.ts";
import { progressLine } from "../../cli/screen/progress-bar.ts";
import { columnsOf, tableLines } from "../../cli/screen/table.ts";
import { count, credits, span } from "../../cli/screen/in-words.ts";

describe("a table", () => {
  const columns = [
    { title: "MODEL", canBeCut: true },
    { title: "CREDITS", align: "right" as const },
  ];
  const rows = [
    ["a-model-with-a-long-name", "0.5"],
    ["狐狸", "12"],
  ];

  test("is whole for a program, its numbers below each other", () => {
    expect(tableLines(columns, rows, null)).toEqual([
      "MODEL                     CREDITS",
      "a-model-with-a-long-name      0.5",
      "狐狸                           12",
    ]);
  });

  test("is cut to a screen where that may be", () => {
    expect(tableLines(columns, rows, 20)).toEqual([
      "MODEL        CREDITS",
      "a-model-wi…      0.5",
      "狐狸              12",
    ]);
  });

  test("is wider than a screen on which its cells would tell nothing", () => {
    const [, row = ""] = tableLines(columns, rows, 3);
    expect(row).toBe("a-model…      0.5");
  });

  test("never obeys what stands in it", () => {
    const [, row] = tableLines(columns, [["\u001b[31mred\nline\u202e", "1"]], null);
    expect(row).toBe("[31mred line        1");
  });
});

test("text from elsewhere moves no cursor, and keeps its lines", () => {
  expect(plainText("a\u001b]0;title\u0007b\r\nc\td\u009b2J\u0000")).toBe("a]0;titleb\nc\td2J");
  expect(plainLine(`${"x".repeat(600)}`, 10)).toBe("xxxxxxxxx…");
  expect([columnsOf("é"), columnsOf("e\u0301"), columnsOf("狐"), columnsOf("🦊")]).toEqual([
    1, 1, 2, 2,
  ]);
});

test("numbers are read at a glance", () => {
  expect([count(0), count(999), count(1_234_567)]).toEqual(["0", "999", "1 234 567"]);
  expect([credits(-1), credits(1_500_000)]).toEqual(["-0.000001", "1.5"]);
  expect([span(12.4), span(1_250), span(61_000)]).toEqual(["12 ms", "1.3 s", "1 min 1 s"]);
});

test.each([
  [0, 0, "Auditing  ████████████████████████  100 %  0 of 0"],
  [6, 24, "Auditing  ██████░░░░░░░░░░░░░░░░░░   25 %  6 of 24"],
  [30, 24, "Auditing  ████████████████████████  100 %  30 of 30"],
  [1_000, null, "Auditing  1 000"],
])("%s of %s is %j", (done, total, line) => {
  expect(progressLine("Auditing", done, total)).toBe(line);
});
