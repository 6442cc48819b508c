import { keccak_256 } from "@noble/hashes/sha3.js";
import { assert } from "../assert.ts";
import { toHex } from "./bytes.ts";

/** What one address may have claimed in all, in the asset's smallest unit. */
export interface PayoutLeaf {
  /** An EVM address: 0x and 40 hex digits. */
  readonly address: string;
  readonly amount: bigint;
}

/** The root that a settlement contract is given, and what each leaf shows it. */
export interface PayoutTree {
  /** 0x and 64 hex digits. */
  readonly root: string;
  /** The hashes beside the path from each leaf to the root, in the order of the leaves given. */
  readonly proofs: readonly (readonly string[])[];
}

const addressPattern = /^0x[0-9a-fA-F]{40}$/;
/** The bytes of one word of the EVM's encoding. */
const wordBytes = 32;

/**
 * The Merkle tree of payouts, as OpenZeppelin's `StandardMerkleTree` makes it of the types
 * `address, uint256`, so that its `MerkleProof.sol` accepts the proofs: leaves are hashed twice and
 * sorted, and each pair is hashed in order of its bytes. Throws AssertionError without leaves, on
 * what is no address, and on amounts that no `uint256` holds.
 */
export function payoutTree(leaves: readonly PayoutLeaf[]): PayoutTree {
  assert(leaves.length > 0, "a payout has at least one leaf");
  const hashed = leaves.map((leaf, place) => ({ place, hash: leafHash(leaf) }));
  hashed.sort((a, b) => compareBytes(a.hash, b.hash));
  // A complete binary tree in an array: the root first, and the leaves last, in reverse.
  const tree: Uint8Array[] = Array.from({ length: 2 * leaves.length - 1 });
  const placeInTree: number[] = [];
  for (const [order, { place, hash }] of hashed.entries()) {
    const at = tree.length - 1 - order;
    tree[at] = hash;
    placeInTree[place] = at;
  }
  for (let at = leaves.length - 2; at >= 0; at--) {
    tree[at] = pairHash(hashAt(tree, 2 * at + 1), hashAt(tree, 2 * at + 2));
  }
  return {
    root: hex(hashAt(tree, 0)),
    proofs: placeInTree.map((at) => proofOf(tree, at)),
  };
}

/** Whether a proof leads from a leaf to a root, as a contract would check it. */
export function isInPayout(leaf: PayoutLeaf, proof: readonly string[], root: string): boolean {
  const top = proof.reduce((hash, beside) => pairHash(hash, bytesOf(beside)), leafHash(leaf));
  return hex(top) === root;
}

function proofOf(tree: readonly Uint8Array[], leafAt: number): string[] {
  const proof: string[] = [];
  for (let at = leafAt; at > 0; at = Math.floor((at - 1) / 2)) {
    proof.push(hex(hashAt(tree, at % 2 === 0 ? at - 1 : at + 1)));
  }
  return proof;
}

function leafHash({ address, amount }: PayoutLeaf): Uint8Array {
  assert(addressPattern.test(address), `${address} is an EVM address`);
  assert(amount >= 0n && amount < 1n << 256n, `${amount} is a uint256`);
  const words = new Uint8Array(2 * wordBytes);
  const addressBytes = bytesOf(address);
  words.set(addressBytes, wordBytes - addressBytes.length);
  words.set(bytesOf(amount.toString(16).padStart(2 * wordBytes, "0")), wordBytes);
  return keccak_256(keccak_256(words));
}

function pairHash(a: Uint8Array, b: Uint8Array): Uint8Array {
  const [low, high] = compareBytes(a, b) < 0 ? [a, b] : [b, a];
  const pair = new Uint8Array(2 * wordBytes);
  pair.set(low);
  pair.set(high, wordBytes);
  return keccak_256(pair);
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (const [at, byte] of a.entries()) {
    const difference = byte - (b[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function hashAt(tree: readonly Uint8Array[], at: number): Uint8Array {
  const hash = tree[at];
  assert(hash !== undefined, `the tree has a hash at ${at}`);
  return hash;
}

function bytesOf(hexText: string): Uint8Array {
  const digits = hexText.replace(/^0x/, "");
  return Uint8Array.from({ length: digits.length / 2 }, (_, at) =>
    Number.parseInt(digits.slice(2 * at, 2 * at + 2), 16),
  );
}

function hex(bytes: Uint8Array): string {
  return `0x${toHex(bytes)}`;
}
