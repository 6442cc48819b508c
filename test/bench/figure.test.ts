import { expect, test } from "vitest";
import { formatValue, median, quantile } from "../../bench/figure.ts";

test.each([
  [1030, "1030"],
  [100, "100"],
  [0, "0"],
  [123_456, "123456"],
  [0.5, "0.5"],
  [12.345_6, "12.35"],
  [1030.4, "1030"],
  [99.999, "100"],
  [1.0, "1"],
  [0.000_012_34, "0.00001234"],
])("the figure %d reads %s", (value, text) => {
  expect(formatValue(value)).toBe(text);
});

test("a quantile lies between its neighbours", () => {
  expect(median([1, 2, 10])).toBe(2);
  expect(quantile([1, 2], 0.25)).toBe(1.25);
});
