import {
  type Decided,
  fingerprintOf,
  moveMoney,
  type MoveRequest,
} from "../../../edge/billing/money/move-money.ts";
import {
  expirePending,
  type Pending,
  type PendingChange,
  pendMoney,
  type PendRequest,
  postPending,
  voidPending,
} from "../../../edge/billing/money/pending-money.ts";
import type { SimulatedAccount } from "./simulated-account.ts";
import { hold } from "../truth.ts";
import type { World } from "../world.ts";

/**
 * The moves of edge/billing/money/moves.ts around the real rules; what is here is stored. Judges
 * what is pending by P1 and P2 of edge/billing/money/pending-money.ts.
 */
export class SimulatedMoves {
  readonly #world: World;
  readonly #account: SimulatedAccount;
  readonly #fingerprints = new Map<string, string>();
  readonly #pendings = new Map<string, Pending>();
  readonly #ended = new Set<string>();

  constructor(world: World, account: SimulatedAccount) {
    this.#world = world;
    this.#account = account;
  }

  move(request: MoveRequest): string {
    const fingerprint = fingerprintOf(request);
    const before = this.#fingerprints.get(request.id);
    if (before !== undefined) return before === fingerprint ? "moved" : "idempotency_conflict";
    const moved = moveMoney(this.#account.state, request, this.#account.window);
    if (moved.kind === "refused") return moved.code;
    this.#fingerprints.set(request.id, fingerprint);
    this.#record(moved);
    return "moved";
  }

  pend(request: PendRequest): string {
    const { state, window } = this.#account;
    const outcome = this.#change(pendMoney(state, request, this.#before(request.id), window));
    if (outcome === "pending" && request.expiresMs !== null) {
      const inMs = request.expiresMs - window.nowMs;
      this.#world.schedule.after(Math.max(0, inMs), () => this.expire());
    }
    return outcome;
  }

  post(id: string, micros: bigint | null): string {
    const before = this.#before(id);
    const { state, window } = this.#account;
    return this.#change(postPending(state, { id, micros }, before, window));
  }

  void(id: string): string {
    const { state, window } = this.#account;
    return this.#change(voidPending(state, id, this.#before(id), window));
  }

  /** As an alarm does. */
  expire(): void {
    const { state, window } = this.#account;
    for (const pending of this.#pendings.values()) {
      const isOver = (pending.expiresMs ?? Infinity) <= window.nowMs;
      if (pending.state !== "pending" || !isOver) continue;
      this.#world.truth.count("pending: expired");
      this.#change(expirePending(state, pending, window));
    }
  }

  #before(id: string): Pending | null {
    this.expire();
    const before = this.#pendings.get(id) ?? null;
    if (before === null || this.#world.options.mutant !== "pending-ends-twice") return before;
    return { ...before, state: "pending", posted: 0n };
  }

  #change(change: PendingChange): string {
    if (change.kind === "refused") return change.code;
    const { pending, decided } = change;
    this.#pendings.set(pending.id, pending);
    if (decided === null) return pending.state;
    if (pending.state !== "pending") {
      hold(!this.#ended.has(pending.id), "P2", () => `${pending.id} ends a second time`);
      this.#ended.add(pending.id);
    }
    this.#record(decided);
    return pending.state;
  }

  #record(decided: Decided): void {
    this.#account.record(decided);
    let sum = 0n;
    for (const { state, micros } of this.#pendings.values()) if (state === "pending") sum += micros;
    this.#account.checks.moved(this.#account.state, sum);
  }
}
