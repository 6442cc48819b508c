import { type Asset, assets, type Bucket, ownerOf, systemBooks } from "../../../shared/assets.ts";
import { assert } from "../../../shared/assert.ts";
import { toHex } from "../../../shared/crypto/bytes.ts";
import { canonicalJson } from "../../../shared/crypto/jcs.ts";
import { sha256Sync } from "../../../shared/crypto/sha256-sync.ts";
import type { Micros } from "../../../shared/money.ts";
import {
  type AccountState,
  balanceMax,
  type Refused,
  refused,
  type Transfer,
} from "../account-state.ts";
import { bucketOf, changeBucket, freeCredit, spendable } from "./buckets.ts";
import { addEarned, takeEarned, type Window } from "./earnings-window.ts";

/**
 * Moves of an account's money that no task causes. Invariants:
 * M1. An account gives of its own only: each transfer debits one of its buckets, or the mint for
 *     one of its buckets.
 * M2. The transfers of a move happen all or none, in their order, and none takes a bucket below
 *     zero.
 * M3. What is held for tasks stays covered.
 * M4. A move happens once, by its id; with other contents the id is refused.
 */

/** Credit may come from one ledger account to another, by their names. */
export interface Leg {
  readonly debit: string;
  readonly credit: string;
  readonly asset: Asset;
  readonly micros: Micros;
}

/** Transfers that belong together. */
export interface MoveRequest {
  /** Of the move, and of its transfer; where it has several, they add `:1`, `:2` and so on. */
  readonly id: string;
  /** What it is for, in a word: it is in the ledger with each transfer. */
  readonly kind: string;
  /** Why, in words, where a person wants it. */
  readonly reason: string | null;
  readonly legs: readonly Leg[];
}

export type MoveResult = { readonly kind: "moved" } | Refused;

/** What another account is to be given. */
export interface Earning {
  readonly accountId: string;
  readonly asset: Asset;
  readonly bucket: Bucket;
  readonly micros: Micros;
}

/** What one row of another account's outbox gives this one. */
export interface Incoming extends Pick<Earning, "micros"> {
  readonly seq: number;
  /** Credit that was earned, where an older build sent it. */
  readonly asset?: Earning["asset"] | undefined;
  readonly bucket?: Earning["bucket"] | undefined;
}

/** What was decided, to be stored in one transaction. */
export interface Decided {
  readonly transfers: readonly Transfer[];
  readonly earnings: readonly Earning[];
  /** The lots that changed. */
  readonly lots: readonly number[];
}

/** What tells a request from every other under its id (M4). */
export function fingerprintOf({ kind, reason, legs }: MoveRequest): string {
  const rows = legs.map(({ debit, credit, asset, micros }) => [debit, credit, asset, `${micros}`]);
  return toHex(sha256Sync(canonicalJson([kind, reason, rows])));
}

/** Moves money, or says why not; then nothing has changed. */
export function moveMoney(
  state: AccountState,
  request: MoveRequest,
  at: Window,
): ({ readonly kind: "decided" } & Decided) | Refused {
  const { id, legs } = request;
  assert(legs.length > 0, "a move has transfers");
  const named = legs.map((leg, index) => ({
    ...leg,
    id: legs.length === 1 ? id : `${id}:${index + 1}`,
  }));
  return moveNamed(state, { ...request, legs: named }, at);
}

/** The same, with an id for each transfer. */
export function moveNamed(
  state: AccountState,
  request: {
    readonly kind: string;
    readonly reason: string | null;
    readonly legs: readonly (Leg & { readonly id: string })[];
  },
  at: Window,
): ({ readonly kind: "decided" } & Decided) | Refused {
  const { kind, reason, legs } = request;
  const changes = changesOf(state, legs);
  if (changes.kind === "refused") return changes;
  const lots: number[] = [];
  for (const { asset, bucket, micros } of changes.list) {
    const isWindowed = asset === "CREDIT" && bucket === "earned";
    if (!isWindowed) changeBucket(state, asset, bucket, micros);
    else if (micros > 0n) lots.push(addEarned(state, micros, at));
    else lots.push(...takeEarned(state, -micros));
  }
  const transfers = legs.map(({ id, debit, credit, asset, micros }) => {
    return { id, taskId: null, kind, debit, credit, asset, micros, createdMs: at.nowMs, reason };
  });
  return { kind: "decided", transfers, earnings: earningsOf(state, legs), lots };
}

interface Change {
  readonly asset: Asset;
  readonly bucket: Bucket;
  micros: Micros;
}

/** What the account's own buckets come to, transfer by transfer (M2). */
function changesOf(
  state: AccountState,
  legs: readonly Leg[],
): { readonly kind: "changes"; readonly list: readonly Change[] } | Refused {
  const changes = new Map<string, Change>();
  const changeOf = (asset: Asset, bucket: Bucket) => {
    const change = changes.get(`${asset}:${bucket}`) ?? { asset, bucket, micros: 0n };
    changes.set(`${asset}:${bucket}`, change);
    return change;
  };
  const isOwn = (owner: { readonly accountId: string } | null) =>
    owner?.accountId === state.accountId;
  for (const { debit, credit, asset, micros } of legs) {
    assert(assets.includes(asset), `${asset} is an asset of the ledger`);
    assert(debit !== credit, `a transfer goes from ${debit} to another`);
    if (micros <= 0n || micros > balanceMax) {
      return refused("invalid_request", `${micros} micros are not between 1 and ${balanceMax}`);
    }
    const [from, to] = [ownerOf(debit), ownerOf(credit)];
    assert(to !== null || isSystemBook(credit), `${credit} is an account of the ledger`);
    if (from !== null && isOwn(from)) {
      const change = changeOf(asset, from.bucket);
      const has = bucketOf(state, asset, from.bucket) + change.micros;
      if (has < micros) return short(debit, asset, { has, micros });
      change.micros -= micros;
    } else assert(debit === systemBooks.mint && isOwn(to), `${state.accountId} owns ${debit}`);
    if (to === null || !isOwn(to)) continue;
    const change = changeOf(asset, to.bucket);
    change.micros += micros;
    const becomes = bucketOf(state, asset, to.bucket) + change.micros;
    if (becomes > balanceMax) {
      return refused("invalid_request", `${credit} would have ${becomes} and may ${balanceMax}`);
    }
  }
  const list = [...changes.values()].filter(({ micros }) => micros !== 0n);
  return refuseUncovered(state, list) ?? { kind: "changes", list };
}

/** M3: holds and leases are covered by what can be spent. */
function refuseUncovered(state: AccountState, changes: readonly Change[]): Refused | null {
  let change = 0n;
  for (const { asset, bucket, micros } of changes) {
    if (asset === "CREDIT" && (bucket === "available" || bucket === "earned")) change += micros;
  }
  if (change >= 0n || freeCredit(state) + change >= 0n) return null;
  const reason = `${state.held} of ${spendable(state)} micros are held for tasks that run`;
  return refused("insufficient_quota", `${-change} micros are not free: ${reason}`);
}

function short(
  book: string,
  asset: Asset,
  of: { readonly has: Micros; readonly micros: Micros },
): Refused {
  const has = of.has < 0n ? 0n : of.has;
  return refused("insufficient_quota", `${book} has ${has} micros of ${asset}, not ${of.micros}`);
}

function earningsOf(state: AccountState, legs: readonly Leg[]): Earning[] {
  return legs.flatMap(({ credit, asset, micros }) => {
    const to = ownerOf(credit);
    if (to === null || to.accountId === state.accountId) return [];
    return [{ ...to, asset, micros }];
  });
}

const systemNames: ReadonlySet<string> = new Set(Object.values(systemBooks));

function isSystemBook(book: string): boolean {
  return systemNames.has(book);
}
