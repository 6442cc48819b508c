import { describe, expect, test } from "vitest";
import { sourceFiles } from "./helpers/source-files.ts";

const files = sourceFiles();

describe("exports", () => {
  /** Who takes what, as `path#name`; tests apart. */
  const taken = (isTest: boolean) =>
    new Set(
      files
        .filter(({ path }) => path.startsWith("test/") === isTest)
        .flatMap(({ imports }) => imports)
        .flatMap(({ path, names }) => names.map((name) => `${path}#${name}`)),
    );
  const [takenByCode, takenByTests] = [taken(false), taken(true)];
  const values = files
    .filter(({ path }) => !path.startsWith("test/"))
    .flatMap(({ path, code, exports }) => exports.map((name) => ({ path, code, name })));

  test("a value is exported for another file", () => {
    const alone = values
      .map(({ path, name }) => `${path}#${name}`)
      .filter((value) => !takenByCode.has(value) && !takenByTests.has(value));
    // Bundled in the place of a file whose exports these are.
    const substitutes = "bench/workerd/objects-without-money.ts#";
    expect(alone.filter((value) => !value.startsWith(substitutes))).toEqual([]);
  });

  /** What anybody outside proves the network's words by; tests hold us to it. */
  const proofs = [
    "shared/crypto/payout-tree.ts#isInPayout",
    "shared/journal.ts#verifyJournal",
    "shared/protocol/receipt.ts#verifyCountersignature",
  ];

  test("no value is there for tests alone", () => {
    const testedOnly = values
      .filter(({ path, code, name }) => {
        const isUsedInside = [...code.matchAll(new RegExp(`\\b${name}\\b`, "g"))].length > 1;
        return !isUsedInside && !takenByCode.has(`${path}#${name}`);
      })
      .map(({ path, name }) => `${path}#${name}`)
      .filter((value) => takenByTests.has(value));
    expect(testedOnly.filter((value) => !proofs.includes(value))).toEqual([]);
  });
});
