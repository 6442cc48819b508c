import * as fc from "fast-check";
import { expect, test } from "vitest";
import {
  type AccountState,
  expireHolds,
  resolveTask,
  type Transfer,
} from "../../../edge/billing/account-state.ts";
import {
  addEarned,
  coverDeficit,
  releaseDue,
} from "../../../edge/billing/money/earnings-window.ts";
import { enterJournal } from "../../../edge/billing/outbox/enter-journal.ts";
import { moveMoney } from "../../../edge/billing/money/move-money.ts";
import {
  expirePending,
  type Pending,
  type PendingChange,
  pendMoney,
  type PendRequest,
  postPending,
  voidPending,
} from "../../../edge/billing/money/pending-money.ts";
import { type Bucket, systemBooks } from "../../../shared/assets.ts";
import { type JournalRow, verifyJournal } from "../../../shared/journal.ts";
import { holdFor, post, record, terms } from "./closings.ts";
import { at, creditOf, leg, own, ownAccount, ownId } from "./moving.ts";

/*
 * The reducer against a model that is too simple to be wrong: five numbers, what is held, and what
 * is pending. Whatever anybody asks for, both decide the same and end with the same.
 */

type Buckets = Record<Bucket, bigint>;

interface Step {
  readonly kind:
    | "mint"
    | "earn"
    | "move"
    | "pend"
    | "post"
    | "void"
    | "hold"
    | "settle"
    | "drop"
    | "wait";
  readonly id: number;
  readonly amount: bigint;
  readonly from: Bucket;
  readonly to: Bucket;
}

const bucket = fc.constantFrom<Bucket>("available", "earned", "disputed", "stake");
const kinds: readonly Step["kind"][] = [
  ...(["mint", "earn", "move", "pend", "post", "void"] as const),
  ...(["hold", "settle", "drop", "wait"] as const),
];
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    kind: fc.constantFrom(...kinds),
    id: fc.nat(5),
    amount: fc.bigInt({ min: 0n, max: 60n }),
    from: bucket,
    to: bucket,
  }),
  { maxLength: 80, size: "max" },
);

/** How long a hold lasts, and a pending with an even id. */
const lastsMs = 12;

class Model {
  readonly buckets: Buckets = { available: 0n, held: 0n, earned: 0n, disputed: 0n, stake: 0n };
  readonly holds = new Map<number, { limit: bigint; untilMs: number }>();
  readonly pendings = new Map<
    number,
    { how: string; amount: bigint; posted: bigint; from: Bucket; untilMs: number | null }
  >();
  /** What was settled without a hold, which is all that may be missing. */
  unheld = 0n;

  get held(): bigint {
    return [...this.holds.values()].reduce((sum, { limit }) => sum + limit, 0n);
  }

  get free(): bigint {
    return this.buckets.available + this.buckets.earned - this.held;
  }

  /** Whether so much may leave a bucket for another, or for elsewhere where null. */
  allows(from: Bucket, to: Bucket | null, amount: bigint): boolean {
    const isCredit = (of: Bucket | null) => of === "available" || of === "earned";
    if (amount <= 0n || this.buckets[from] < amount) return false;
    return !isCredit(from) || isCredit(to) || this.free >= amount;
  }

  wait(nowMs: number): void {
    for (const [id, { untilMs }] of this.holds) if (untilMs <= nowMs) this.holds.delete(id);
    for (const pending of this.pendings.values()) {
      if (pending.how !== "pending" || (pending.untilMs ?? Infinity) > nowMs) continue;
      this.end(pending, "expired", 0n);
    }
  }

  end(
    pending: { how: string; amount: bigint; from: Bucket; posted: bigint },
    how: string,
    posted: bigint,
  ) {
    pending.how = how;
    pending.posted = posted;
    this.buckets.held -= pending.amount;
    this.buckets[pending.from] += pending.amount - posted;
  }
}

/** The reducer with what storage would keep for it. */
class Real {
  readonly state: AccountState = ownAccount(0n);
  readonly pendings = new Map<number, Pending>();
  readonly rows: JournalRow[] = [];
  readonly resolved = new Set<number>();

  record(transfers: readonly Transfer[]): void {
    this.rows.push(...enterJournal(this.state, transfers));
  }

  take(id: number, change: PendingChange): string {
    if (change.kind === "refused") return change.code;
    this.pendings.set(id, change.pending);
    this.record(change.decided?.transfers ?? []);
    return change.pending.state;
  }
}

function perform(real: Real, model: Model, step: Step, nowMs: number): void {
  const { state } = real;
  const { id, amount, from, to, kind } = step;
  const { buckets } = model;
  const before = real.pendings.get(id) ?? null;
  const known = model.pendings.get(id);
  switch (kind) {
    case "mint":
    case "move": {
      const debit = kind === "mint" ? systemBooks.mint : own(from);
      if (debit === own(to)) return;
      const request = { id: `m${nowMs}`, kind, reason: null };
      const legs = [leg(debit, own(to), amount)];
      const moved = moveMoney(state, { ...request, legs }, at(nowMs));
      const isAllowed = kind === "mint" ? amount > 0n : model.allows(from, to, amount);
      expect(moved.kind).toBe(isAllowed ? "decided" : "refused");
      if (moved.kind === "refused") return;
      real.record(moved.transfers);
      if (kind === "move") buckets[from] -= amount;
      buckets[to] += amount;
      return;
    }
    case "earn":
      if (amount === 0n) return;
      addEarned(state, amount, at(nowMs));
      buckets.earned += amount;
      return;
    case "pend": {
      const expiresMs = id % 2 === 0 ? nowMs + lastsMs : null;
      const request: PendRequest = {
        id: `p${id}`,
        kind,
        reason: null,
        asset: "CREDIT",
        micros: amount,
        from,
        credit: systemBooks.payouts,
        expiresMs,
      };
      const how = real.take(id, pendMoney(state, request, before, at(nowMs)));
      if (known !== undefined) {
        const isSame =
          known.amount === amount && known.from === from && known.untilMs === expiresMs;
        expect(how).toBe(isSame ? known.how : "idempotency_conflict");
      } else if (model.allows(from, null, amount)) {
        expect(how).toBe("pending");
        model.pendings.set(id, { how, amount, posted: 0n, from, untilMs: expiresMs });
        buckets[from] -= amount;
        buckets.held += amount;
      } else expect(["insufficient_quota", "invalid_request"]).toContain(how);
      return;
    }
    case "post": {
      const how = real.take(
        id,
        postPending(state, { id: `p${id}`, micros: amount }, before, at(nowMs)),
      );
      if (known === undefined) return expect(how).toBe("not_found");
      if (known.how === "posted" && known.posted === amount) return expect(how).toBe("posted");
      if (known.how !== "pending") return expect(how).toBe("conflict");
      if (amount > known.amount) return expect(how).toBe("invalid_request");
      model.end(known, "posted", amount);
      return expect(how).toBe("posted");
    }
    case "void": {
      const how = real.take(id, voidPending(state, `p${id}`, before, at(nowMs)));
      if (known === undefined) return expect(how).toBe("not_found");
      if (known.how === "void") return expect(how).toBe("void");
      if (known.how !== "pending") return expect(how).toBe("conflict");
      model.end(known, "void", 0n);
      return expect(how).toBe("void");
    }
    case "hold": {
      if (real.resolved.has(id) || model.holds.has(id)) return;
      const expiresMs = nowMs + lastsMs;
      const isAllowed = amount <= model.free;
      expect(holdFor(state, `t${id}`, amount, { nowMs, expiresMs })).toBe(
        isAllowed ? "held" : "insufficient_quota",
      );
      if (isAllowed) model.holds.set(id, { limit: amount, untilMs: expiresMs });
      return;
    }
    case "settle":
    case "drop": {
      if (real.resolved.has(id)) return;
      real.resolved.add(id);
      const limit = model.holds.get(id)?.limit ?? 60n;
      const isHeld = model.holds.delete(id);
      const of = { account: ownId, limit: String(limit) };
      const counts = { promptTokens: 0, completionTokens: Number(amount) };
      const closing =
        kind === "drop"
          ? ({ kind: "void", terms: terms(`t${id}`, of), record } as const)
          : post(`t${id}`, counts, of);
      const { cost, transfers } = resolveTask(state, closing, nowMs);
      const least = amount < limit ? amount : limit;
      expect(cost).toBe(kind === "drop" ? 0n : least);
      real.record([...coverDeficit(state, nowMs).transfers, ...transfers]);
      if (!isHeld) model.unheld += cost;
      buckets.available -= cost;
      const deficit = buckets.available < 0n ? -buckets.available : 0n;
      const covered = deficit < buckets.earned ? deficit : buckets.earned;
      buckets.available += covered;
      buckets.earned -= covered;
      return;
    }
    case "wait":
      return;
  }
}

/** What an alarm does. */
function passTime(real: Real, model: Model, nowMs: number): void {
  expireHolds(real.state, nowMs);
  for (const [id, pending] of real.pendings) {
    const isOver = pending.state === "pending" && (pending.expiresMs ?? Infinity) <= nowMs;
    if (isOver) real.take(id, expirePending(real.state, pending, at(nowMs)));
  }
  model.wait(nowMs);
}

test("whatever is asked of an account in whatever order, it does what the model does", () => {
  fc.assert(
    fc.property(steps, (list) => {
      const [real, model] = [new Real(), new Model()];
      const { state } = real;
      for (const [order, step] of list.entries()) {
        const nowMs = 1 + order * 3;
        passTime(real, model, nowMs);
        perform(real, model, step, nowMs);
        expect(creditOf(state)).toEqual(model.buckets);
        expect(state.held).toBe(model.held);
        const inLots = [...state.lots.values()].reduce((sum, micros) => sum + micros, 0n);
        expect(inLots).toBe(state.earned);
        for (const name of ["held", "earned", "disputed", "stake"] as const) {
          expect(model.buckets[name]).toBeGreaterThanOrEqual(0n);
        }
        expect(model.free).toBeGreaterThanOrEqual(-model.unheld);
      }
      expect(verifyJournal(real.rows)).toEqual({ kind: "whole", head: state.journal });
      expect(new Set(real.rows.map(({ id }) => id)).size).toBe(real.rows.length);
      // In the end all that was earned can leave.
      releaseDue(state, Number.MAX_SAFE_INTEGER);
      expect([state.earned, state.lots.size]).toEqual([0n, 0]);
    }),
    { numRuns: 1_000 },
  );
});

test("of two buyers of the last credit exactly one succeeds, ten thousand times", () => {
  const buyers = ["hold", "pend", "move"] as const;
  for (let round = 0; round < 10_000; round++) {
    // As much of it earned as may be: a hold takes all, the others what is available.
    const earned = BigInt(round % 7);
    const available = 50n;
    const state = ownAccount(available, earned);
    const won = [buyers[round % 3], buyers[Math.floor(round / 3) % 3]].map((buyer, at) =>
      buys(state, buyer ?? "hold", `b${at}`, available, available + earned),
    );
    expect(won.toSorted()).toEqual([false, true]);
  }
});

function buys(
  state: AccountState,
  how: "hold" | "pend" | "move",
  id: string,
  available: bigint,
  all: bigint,
): boolean {
  if (how === "hold") {
    return holdFor(state, id, all, { nowMs: 1, expiresMs: 99 }) === "held";
  }
  if (how === "move") {
    const legs = [leg(own("available"), systemBooks.burn, available)];
    return moveMoney(state, { id, kind: how, reason: null, legs }, at(1)).kind === "decided";
  }
  const request: PendRequest = {
    id,
    kind: how,
    reason: null,
    asset: "CREDIT",
    micros: available,
    from: "available",
    credit: systemBooks.payouts,
    expiresMs: null,
  };
  return pendMoney(state, request, null, at(1)).kind === "changed";
}
