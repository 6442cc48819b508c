import { StandardMerkleTree } from "@openzeppelin/merkle-tree";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { isInPayout, type PayoutLeaf, payoutTree } from "../../../shared/crypto/payout-tree.ts";

const leaf: fc.Arbitrary<PayoutLeaf> = fc.record({
  address: fc
    .uint8Array({ minLength: 20, maxLength: 20 })
    .map((bytes) => `0x${Buffer.from(bytes).toString("hex")}`),
  amount: fc.bigInt({ min: 0n, max: (1n << 256n) - 1n }),
});

test("root and proofs are those of OpenZeppelin's own tree", () => {
  fc.assert(
    fc.property(fc.array(leaf, { minLength: 1, maxLength: 33 }), (leaves) => {
      const rows = leaves.map(({ address, amount }) => [address, amount.toString()]);
      const theirs = StandardMerkleTree.of(rows, ["address", "uint256"]);
      const ours = payoutTree(leaves);
      expect(ours.root).toBe(theirs.root);
      for (const [at, proof] of ours.proofs.entries()) {
        const row = rows[at] ?? [];
        expect(
          StandardMerkleTree.verify(theirs.root, ["address", "uint256"], row, [...proof]),
        ).toBe(true);
      }
    }),
    { numRuns: 60 },
  );
});

test("a proof proves its own leaf, and neither more money nor another address", () => {
  const leaves = Array.from({ length: 5 }, (_, at) => ({
    address: `0x${String(at + 1).padStart(40, "0")}`,
    amount: BigInt(at + 1) * 1_000_000n,
  }));
  const { root, proofs } = payoutTree(leaves);
  for (const [at, own] of leaves.entries()) {
    const proof = proofs[at] ?? [];
    expect(isInPayout(own, proof, root)).toBe(true);
    expect(isInPayout({ ...own, amount: own.amount + 1n }, proof, root)).toBe(false);
    expect(isInPayout({ ...own, address: `0x${"f".repeat(40)}` }, proof, root)).toBe(false);
  }
});

test("an empty payout, a wrong address and an impossible amount are refused", () => {
  const address = `0x${"a".repeat(40)}`;
  expect(() => payoutTree([])).toThrow("at least one leaf");
  expect(() => payoutTree([{ address: "0x12", amount: 1n }])).toThrow("EVM address");
  expect(() => payoutTree([{ address, amount: -1n }])).toThrow("uint256");
  expect(() => payoutTree([{ address, amount: 1n << 256n }])).toThrow("uint256");
});
