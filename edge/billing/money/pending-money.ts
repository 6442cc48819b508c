import { type Asset, bookOf, type Bucket } from "../../../shared/assets.ts";
import { assert } from "../../../shared/assert.ts";
import { canonicalJson } from "../../../shared/crypto/jcs.ts";
import type { Micros } from "../../../shared/money.ts";
import { type AccountState, type Refused, refused } from "../account-state.ts";
import type { Window } from "./earnings-window.ts";
import { type Decided, type Leg, moveNamed } from "./move-money.ts";

/**
 * Money that is promised: set aside durably in the bucket `held`, and then posted, in part or
 * whole, or given back. Invariants:
 * P1. What is pending is in `held` and in no other bucket: nobody else can spend it.
 * P2. A pending ends once: posted, void or expired. What is not posted returns to where it was.
 * P3. The same request again changes nothing and gets the same answer; another one under the same
 *     id is refused.
 */

export interface PendRequest {
  readonly id: string;
  /** What it is for, in a word. */
  readonly kind: string;
  readonly reason: string | null;
  readonly asset: Asset;
  readonly micros: Micros;
  /** The bucket it is taken from, and returned to. */
  readonly from: Bucket;
  /** The ledger account that a post gives it to. */
  readonly credit: string;
  /** When it returns by itself; null for never. */
  readonly expiresMs: number | null;
}

export interface Pending extends PendRequest {
  readonly state: "pending" | "posted" | "void" | "expired";
  /** What was posted of it. */
  readonly posted: Micros;
}

export type PendResult = { readonly kind: "pending"; readonly pending: Pending } | Refused;
export type PostResult = { readonly kind: "posted"; readonly pending: Pending } | Refused;
export type VoidResult = { readonly kind: "void"; readonly pending: Pending } | Refused;

/** What came of a pending; `decided` is null where nothing moved, because it had before. */
export type PendingChange =
  | { readonly kind: "changed"; readonly pending: Pending; readonly decided: Decided | null }
  | Refused;

/** Sets money aside (P1). `before` is what is stored under the id. */
export function pendMoney(
  state: AccountState,
  request: PendRequest,
  before: Pending | null,
  at: Window,
): PendingChange {
  if (before !== null) {
    if (contentsOf(before) === contentsOf(request)) return unchanged(before);
    return refused("idempotency_conflict", `${request.id} was pending with other contents`);
  }
  assert(request.from !== "held", "what is held is promised already");
  if (isOver(request, at.nowMs)) {
    return refused("invalid_request", `${request.id} would have expired before it was pending`);
  }
  const leg = { ...legOf(state, request, request.micros, "aside"), id: `${request.id}:pend` };
  return moved(state, { ...request, state: "pending", posted: 0n }, [leg], at);
}

/** Gives `micros` of a pending, all of it where null, to whom it was promised (P2). */
export function postPending(
  state: AccountState,
  post: { readonly id: string; readonly micros: Micros | null },
  before: Pending | null,
  at: Window,
): PendingChange {
  if (before === null) return unknown(post.id);
  const micros = post.micros ?? before.micros;
  if (before.state === "posted" && before.posted === micros) return unchanged(before);
  if (before.state !== "pending" || isOver(before, at.nowMs)) return ended(before);
  if (micros < 0n || micros > before.micros) {
    return refused("invalid_request", `${micros} are not between 0 and ${before.micros} micros`);
  }
  const { id } = post;
  const rest = before.micros - micros;
  const legs: (Leg & { id: string })[] = [];
  if (micros > 0n) legs.push({ ...legOf(state, before, micros, "on"), id: `${id}:post` });
  if (rest > 0n) legs.push({ ...legOf(state, before, rest, "back"), id: `${id}:rest` });
  return moved(state, { ...before, state: "posted", posted: micros }, legs, at);
}

/** Gives a pending back (P2). */
export function voidPending(
  state: AccountState,
  id: string,
  before: Pending | null,
  at: Window,
): PendingChange {
  if (before === null) return unknown(id);
  if (before.state === "void") return unchanged(before);
  if (before.state !== "pending" || isOver(before, at.nowMs)) return ended(before);
  return returned(state, before, "void", at);
}

/** Gives a pending back whose time is over (P2). */
export function expirePending(state: AccountState, before: Pending, at: Window): PendingChange {
  assert(before.state === "pending" && isOver(before, at.nowMs), `${before.id} has expired`);
  return returned(state, before, "expired", at);
}

function returned(
  state: AccountState,
  before: Pending,
  how: "void" | "expired",
  at: Window,
): PendingChange {
  const leg = { ...legOf(state, before, before.micros, "back"), id: `${before.id}:${how}` };
  return moved(state, { ...before, state: how }, [leg], at);
}

function moved(
  state: AccountState,
  pending: Pending,
  legs: readonly (Leg & { readonly id: string })[],
  at: Window,
): PendingChange {
  const { kind, reason } = pending;
  const decided = moveNamed(state, { kind, reason, legs }, at);
  return decided.kind === "refused" ? decided : { kind: "changed", pending, decided };
}

function unchanged(pending: Pending): PendingChange {
  return { kind: "changed", pending, decided: null };
}

function unknown(id: string): Refused {
  return refused("not_found", `nothing is pending under ${id}`);
}

function ended({ id, state, posted }: Pending): Refused {
  const how = state === "pending" ? "expired" : state;
  return refused("conflict", `${id} is ${how}${how === "posted" ? ` with ${posted} micros` : ""}`);
}

function isOver({ expiresMs }: PendRequest, nowMs: number): boolean {
  return expiresMs !== null && expiresMs <= nowMs;
}

/** The transfer that sets money aside, passes it on, or gives it back. */
function legOf(
  { accountId }: AccountState,
  { asset, from, credit }: PendRequest,
  micros: Micros,
  way: "aside" | "on" | "back",
): Leg {
  const [own, held] = [bookOf(accountId, from), bookOf(accountId, "held")];
  if (way === "aside") return { debit: own, credit: held, asset, micros };
  return { debit: held, credit: way === "on" ? credit : own, asset, micros };
}

/** What tells a request from another one under its id (P3). */
function contentsOf({ kind, reason, asset, micros, from, credit, expiresMs }: PendRequest): string {
  return canonicalJson([kind, reason, asset, `${micros}`, from, credit, expiresMs]);
}
