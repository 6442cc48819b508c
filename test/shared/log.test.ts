import { expect, test } from "vitest";
import { createLog, describeError } from "../../shared/log.ts";

test("a log line is one JSON object, and lines below the least level are dropped", () => {
  const lines: string[] = [];
  const log = createLog((line) => lines.push(line), "warn");
  log("debug", "nobody reads this");
  log("info", "nor this");
  log("warn", "two\nlines", { task: "tsk_1", at: undefined });
  log("error", "broken");
  expect(lines).toEqual([
    '{"level":"warn","message":"two\\nlines","task":"tsk_1"}',
    '{"level":"error","message":"broken"}',
  ]);
});

test("an error is described by its kind and sentence, and a thrown value by its type alone", () => {
  expect(describeError(Object.assign(new TypeError("no"), { secret: "s" }))).toBe("TypeError: no");
  expect(describeError("a secret")).toBe("thrown string");
  expect(describeError(null)).toBe("thrown object");
});
