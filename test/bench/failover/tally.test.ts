import { expect, test } from "vitest";
import { differenceOf } from "../../../bench/failover/tally.ts";

test("a text that is as it should be differs in nothing", () => {
  expect(differenceOf("one two three", "one two three")).toEqual({ duplicated: 0, missing: 0 });
});

test("words said twice and words left out are counted apart", () => {
  expect(differenceOf("one two two four", "one two three four")).toEqual({
    duplicated: 1,
    missing: 1,
  });
});

test("of a cut text the rest is missing", () => {
  expect(differenceOf("one", "one two three")).toEqual({ duplicated: 0, missing: 2 });
});
