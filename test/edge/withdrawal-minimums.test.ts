import { expect, test } from "vitest";
import { assets } from "../../shared/assets.ts";
import { withdrawalMinimumsSchema } from "../../edge/withdrawal-minimums.ts";

const minimumsOf = (text?: string) => withdrawalMinimumsSchema.parse(text);

test("a whole unit of every asset is the least that leaves, unless something else is set", () => {
  for (const text of [undefined, ""]) {
    expect(Object.keys(minimumsOf(text))).toEqual([...assets]);
    expect(new Set(Object.values(minimumsOf(text)))).toEqual(new Set([1_000_000n]));
  }
  expect(new Set(Object.values(minimumsOf("2500000")))).toEqual(new Set([2_500_000n]));
});

test("assets that are named have minimums of their own, and the others the default", () => {
  const minimums = minimumsOf("CREDIT:5, OCTO-A:7000000");
  expect(minimums).toMatchObject({ CREDIT: 5n, "OCTO-A": 7_000_000n, OCTO: 1_000_000n });
});

test.each(["1.5", "-1", "GOLD:1", "CREDIT:", "CREDIT", "CREDIT:1,CREDIT:2", "5,OCTO:1", "1e6"])(
  "a minimum of %j is refused, and the form is named",
  (text) => {
    const { error } = withdrawalMinimumsSchema.safeParse(text);
    expect(error?.issues[0]?.message).toContain("ASSET:MICROS");
  },
);
