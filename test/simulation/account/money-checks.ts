import {
  asideMicros,
  asideTasks,
  type Lease,
} from "../../../edge/billing/leases/account-leases.ts";
import type {
  AccountState,
  Hold,
  HoldRequest,
  HoldResult,
  Resolution,
  Transfer,
} from "../../../edge/billing/account-state.ts";
import { bucketOf, freeCredit, spendable } from "../../../edge/billing/money/buckets.ts";
import type { PaidShare, TaskClosing } from "../../../edge/billing/closing.ts";
import { type Asset, assets, bookOf, type Bucket, ownerOf } from "../../../shared/assets.ts";
import { attemptId } from "../../../shared/ids.ts";
import { costMicros, type Micros } from "../../../shared/money.ts";
import { hold } from "../truth.ts";
import type { World } from "../world.ts";

/**
 * Judges one account after every movement: A1 to A5 of edge/billing/account-state.ts. Never forgets
 * anything.
 */
export class MoneyChecks {
  readonly #world: World;
  readonly #accountId: string;
  readonly #everHeld = new Set<string>();
  readonly #resolved = new Map<string, Resolution["kind"]>();
  readonly costs = new Map<string, { readonly cost: Micros; readonly finish: string }>();
  /**
   * What was posted for tasks whose hold the object had forgotten: the most it may be overdrawn.
   */
  #unheldCost = 0n;
  /** What transfers add up to, by asset and bucket. */
  readonly #folds = new Map<string, Micros>();
  readonly #leases = new Map<string, { readonly limit: Micros; readonly untilMs: number }>();
  readonly #closedByLease = new Map<string, Micros>();

  constructor(world: World, accountId: string) {
    this.#world = world;
    this.#accountId = accountId;
  }

  get unheldCost(): Micros {
    return this.#unheldCost;
  }

  held(
    state: AccountState,
    request: HoldRequest,
    result: HoldResult,
    before: ReadonlyMap<string, Hold>,
  ): void {
    this.#checkHeld(state);
    const { taskId } = request;
    if (result.kind === "refused") {
      hold(!state.holds.has(taskId), "A1", () => `${taskId} is refused and held`);
      return;
    }
    this.#everHeld.add(taskId);
    hold(!before.has(taskId), "A1", () => `${taskId} is held twice`);
    const isFree = request.isOwn === true || freeCredit(state) >= 0n;
    hold(isFree, "A1 I4", () => `${state.held} held of ${spendable(state)}`);
    const tasks = state.holds.size + state.leasedTasks;
    hold(tasks <= state.concurrencyMax, "A1", () => `${tasks} holds and leased tasks`);
  }

  /** L1: what is leased was free. */
  leased(state: AccountState, { id, limit, untilMs }: Lease): void {
    this.#checkHeld(state);
    this.#world.truth.count("leases");
    this.#leases.set(id, { limit, untilMs });
    hold(freeCredit(state) >= 0n, "L1", () => `${state.held} held of ${spendable(state)}`);
  }

  /** L2: an isolate issues in the lease's time, whatever its own clock says. */
  issued(leaseId: string, nowMs: number): void {
    this.#world.truth.count("leased tasks");
    const lease = this.#leases.get(leaseId);
    hold(lease !== undefined, "L2", () => `${leaseId} was never granted`);
    const lateMs = nowMs - (lease?.untilMs ?? nowMs);
    hold(lateMs <= 0, "L2", () => `${leaseId} is issued from ${lateMs} ms after its time`);
  }

  returned(state: AccountState): void {
    this.#checkHeld(state);
  }

  /** L2: all tasks of a lease together agreed to no more than it had. */
  #checkLease({ terms }: TaskClosing): void {
    const { lease: id, limit } = terms;
    if (id === undefined) return;
    const closed = (this.#closedByLease.get(id) ?? 0n) + BigInt(limit);
    this.#closedByLease.set(id, closed);
    const most = this.#leases.get(id)?.limit ?? 0n;
    hold(closed <= most, "L2", () => `${closed} micros are closed of ${id}, which had ${most}`);
  }

  resolved(
    state: AccountState,
    to: {
      readonly closing: TaskClosing;
      readonly resolution: Resolution;
      readonly wasHeld: boolean;
    },
  ): void {
    const { closing, resolution, wasHeld } = to;
    const { taskId, cost } = resolution;
    hold(!this.#resolved.has(taskId), "A2 I3", () => `${taskId} is resolved a second time`);
    this.#resolved.set(taskId, resolution.kind);
    this.costs.set(taskId, { cost, finish: closing.record.finish });
    hold(!state.holds.has(taskId), "I7", () => `${taskId} is resolved and still held`);
    const isCovered = this.#everHeld.has(taskId) || closing.terms.lease !== undefined;
    hold(isCovered, "A1", () => `${taskId} was never held`);
    this.#checkLease(closing);
    const limit = BigInt(closing.terms.limit);
    hold(cost <= limit, "A3", () => `${taskId} cost ${cost} of ${limit}`);
    const fair = this.#fairCost(closing);
    hold(cost === fair, "A3 I8", () => `${taskId} cost ${cost}, not ${fair}`);
    const moved = resolution.transfers.reduce((sum, { micros }) => sum + micros, 0n);
    hold(moved === cost, "A3", () => `${taskId}: ${moved} moved for a cost of ${cost}`);
    if (!wasHeld) this.#unheldCost += cost;
    const free = freeCredit(state);
    hold(free >= -this.#unheldCost, "A4", () => `${this.#accountId}: ${free} micros are free`);
    this.#checkHeld(state);
    if (closing.kind === "post" && cost > 0n) this.#checkEarned(closing);
  }

  /** Who is paid is who made it, for what arrived, under a receipt that holds (I8, I16). */
  #checkEarned(closing: Extract<TaskClosing, { kind: "post" }>): void {
    for (const share of closing.shares) this.#checkShare(closing, share);
  }

  #checkShare(closing: Extract<TaskClosing, { kind: "post" }>, share: PaidShare): void {
    const { truth } = this.#world;
    const id = attemptId(closing.terms.task, share.attempt);
    const sent = truth.attempts.get(id);
    hold(sent !== undefined, "I8", () => `${id} is paid and nobody worked on it`);
    if (sent === undefined) return;
    const earner = this.#world.accountOfWorker(sent.workerId);
    hold(share.providerAccountId === earner, "I16", () => `${id} is paid to another`);
    const { completionTokens } = share.counts;
    if (closing.record.finish !== "recovered") {
      hold(!truth.rejected.has(id), "I16", () => `${id} is paid under a false receipt`);
      const bytes = truth.bytesByAttempt.get(id) ?? 0;
      hold(completionTokens <= bytes, "I8", () => `${completionTokens} tokens for ${bytes} bytes`);
      return;
    }
    truth.count(sent.isHonest ? "recovered" : "recovered from a byzantine worker");
    if (!sent.isHonest) return;
    // A worker that lost its socket while it signed the end vouches for parts that never went out.
    if (!sent.isComplete) truth.count("recovered though never sent whole");
    const length = Buffer.byteLength(sent.texts.join(""));
    const isCovered = completionTokens <= length || !sent.isComplete;
    hold(isCovered, "I8", () => `${completionTokens} tokens for ${length} bytes`);
  }

  /** A5: every bucket is what its transfers add up to, and after each of them over its floor. */
  transferred(state: AccountState, transfers: readonly Transfer[]): void {
    for (const { id, debit, credit, asset, micros } of transfers) {
      hold(micros > 0n, "A5", () => `a transfer of ${micros}`);
      this.#move(credit, asset, micros);
      const left = this.#move(debit, asset, -micros);
      const isAvailable = asset === "CREDIT" && debit.endsWith(":available");
      const floor = isAvailable ? -this.#unheldCost : 0n;
      hold(left >= floor, "A4 M2", () => `${id} leaves ${left} in ${debit}`);
    }
    this.#checkBuckets(state);
  }

  /** Another account gave something. */
  given(asset: Asset, bucket: Bucket, micros: Micros): void {
    this.#move(bookOf(this.#accountId, bucket), asset, micros);
  }

  /** E2: who is overdrawn has earned nothing that could have paid. */
  covered({ available, earned, lots }: AccountState): void {
    const inLots = [...lots.values()].reduce((sum, micros) => sum + micros, 0n);
    hold(inLots === earned, "E1", () => `${earned} are earned and ${inLots} in lots`);
    const isCovered = available >= 0n || earned === 0n;
    hold(isCovered, "E2", () => `${available} are available and ${earned} earned`);
  }

  /** E2: what is released has waited, and all that has waited is released. */
  released(lots: ReadonlyMap<number, Micros>, transfers: readonly Transfer[], nowMs: number): void {
    let due = 0n;
    for (const [untilMs, micros] of lots) if (untilMs <= nowMs) due += micros;
    const released = transfers.reduce((sum, { micros }) => sum + micros, 0n);
    if (released > 0n) this.#world.truth.count("earnings released");
    hold(released === due, "E2", () => `${released} are released and ${due} have waited`);
  }

  /** M3 and P1: what is held for tasks is covered, and what is pending is in its bucket. */
  moved(state: AccountState, pending: Micros): void {
    const free = freeCredit(state);
    hold(free >= -this.#unheldCost, "M3", () => `${this.#accountId}: ${free} micros are free`);
    const held = assets.reduce((sum, asset) => sum + bucketOf(state, asset, "held"), 0n);
    hold(held === pending, "P1", () => `${held} are in the bucket for ${pending} pending`);
  }

  /** Gives what is then in an account of the ledger, as far as it is this account's own. */
  #move(book: string, asset: Asset, micros: Micros): Micros {
    const owner = ownerOf(book);
    if (owner?.accountId !== this.#accountId) return 0n;
    const place = `${asset}:${owner.bucket}`;
    const sum = (this.#folds.get(place) ?? 0n) + micros;
    this.#folds.set(place, sum);
    return sum;
  }

  #checkBuckets(state: AccountState): void {
    const has = new Map(state.others);
    has.set("CREDIT:available", state.available);
    has.set("CREDIT:earned", state.earned);
    for (const place of new Set([...has.keys(), ...this.#folds.keys()])) {
      const [fold, micros] = [this.#folds.get(place) ?? 0n, has.get(place) ?? 0n];
      hold(fold === micros, "A5", () => `${place}: ${micros}, its transfers ${fold}`);
    }
  }

  #checkHeld(state: AccountState): void {
    let sum = 0n;
    let tasks = 0;
    for (const { limit } of state.holds.values()) sum += limit;
    for (const lease of state.leases.values()) {
      sum += asideMicros(lease);
      tasks += asideTasks(lease);
    }
    hold(sum === state.held, "A1", () => `${state.held} held, ${sum} in holds and leases`);
    hold(tasks === state.leasedTasks, "L1", () => `${tasks} tasks leased`);
  }

  /**
   * The price of what was counted, by the tariff of when it was agreed and within what was agreed;
   * nothing for an answer of no tokens, or for what one's own workers made.
   */
  #fairCost(closing: TaskClosing): Micros {
    if (closing.kind === "void" || closing.counts.completionTokens === 0) return 0n;
    const { terms } = closing;
    const tariff = this.#world.tariffs.of(terms.tariff);
    const isSame = JSON.stringify(tariff?.split) === JSON.stringify(terms.split);
    hold(isSame, "A3", () => `${terms.task} is split otherwise than its tariff says`);
    const percent = tariff?.modes[terms.mode ?? "realtime"];
    let cost = 0n;
    for (const { counts, price, providerAccountId } of closing.shares) {
      if (providerAccountId === this.#accountId) {
        this.#world.truth.count("own workers' shares");
        continue;
      }
      const input = Math.min(price.inputMicrosPerMillion, terms.input_micros_per_million);
      const output = Math.min(price.outputMicrosPerMillion, terms.output_micros_per_million);
      const agreed = { inputMicrosPerMillion: input, outputMicrosPerMillion: output };
      cost += costMicros(counts, agreed, percent);
    }
    const limit = BigInt(terms.limit);
    return cost < limit ? cost : limit;
  }
}
