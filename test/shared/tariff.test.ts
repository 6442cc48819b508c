import { describe, expect, test } from "vitest";
import { canonicalJson } from "../../shared/crypto/jcs.ts";
import { sha256Hex } from "../../shared/crypto/bytes.ts";
import { defaultSplit } from "../../shared/money.ts";
import {
  canonicalTariff,
  defaultTariff,
  type Tariff,
  tariffAt,
  type TariffBody,
  tariffHash,
  tariffSchema,
} from "../../shared/tariff.ts";

const body: TariffBody = {
  version: 3,
  effective_from: 1_000,
  modes: { realtime: 120, batch: 60, async: 30 },
  split: defaultSplit,
};

function tariffOf(changes: Partial<TariffBody>): Tariff {
  const changed = { ...body, ...changes };
  return { hash: tariffHash(changed), body: changed };
}

test("a tariff is known by the SHA-256 of its canonical JSON, however it was written", async () => {
  const { split, modes, ...rest } = body;
  const otherwise = { split, ...rest, modes: { async: 30, realtime: 120, batch: 60 } } as const;
  expect(canonicalTariff(otherwise)).toBe(canonicalJson(body));
  expect(tariffHash(otherwise)).toBe(await sha256Hex(canonicalJson(body)));
  expect(modes).toEqual(otherwise.modes);
});

test("without any, real time costs what listings ask, and who waits pays less", () => {
  expect(tariffSchema.parse(defaultTariff.body)).toEqual(defaultTariff.body);
  expect(defaultTariff.body.modes).toEqual({ realtime: 100, batch: 67, async: 40 });
  // The hash is in tasks that were settled under it: what it says can never change.
  expect(defaultTariff.hash).toBe(
    "9906f7d5341296d9280a74d5d76dfcb6517bd1466a9ecb78477e480a665b9ae5",
  );
});

describe("the tariff that counts", () => {
  const [first, second] = [tariffOf({ version: 1 }), tariffOf({ version: 2 })];
  test.each([
    ["the built-in one where there is no other", [], 5_000, defaultTariff],
    ["the built-in one before another is in effect", [first], 999, defaultTariff],
    ["another from the moment it is in effect", [first], 1_000, first],
    ["the highest version, in whatever order", [second, first], 5_000, second],
    [
      "the one before, until the highest version is in effect",
      [first, tariffOf({ version: 9, effective_from: 5_001 })],
      5_000,
      first,
    ],
  ])("is %s", (_what, tariffs, nowMs, expected) => {
    expect(tariffAt(tariffs, nowMs)).toEqual(expected);
  });
});

describe("what is no tariff", () => {
  const bad: readonly (readonly [string, unknown])[] = [
    ["a split of 99", { ...body, split: { ...defaultSplit, burn: 4 } }],
    [
      "a split with a negative part",
      { ...body, split: { ...defaultSplit, burn: -5, stakers: 15 } },
    ],
    ["a mode that is free", { ...body, modes: { ...body.modes, async: 0 } }],
    ["a factor with a fraction", { ...body, modes: { ...body.modes, async: 33.3 } }],
    ["a mode that is left out", { ...body, modes: { realtime: 100, batch: 67 } }],
    ["a mode nobody knows", { ...body, modes: { ...body.modes, soon: 50 } }],
    ["a version that is no number", { ...body, version: "3" }],
    ["a version below 0", { ...body, version: -1 }],
    ["anything besides", { ...body, note: "cheap" }],
  ];
  test.each(bad)("%s", (_what, value) => {
    expect(tariffSchema.safeParse(value).success).toBe(false);
  });
});
