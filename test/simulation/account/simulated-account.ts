import { grantLease, returnLease } from "../../../edge/billing/leases/account-leases.ts";
import {
  type AccountState,
  createAccountState,
  expireHolds,
  holdCredit,
  type HoldRequest,
  type HoldResult,
  isClosable,
  mintCredit,
  resolutionKeptMs,
  resolveTask,
} from "../../../edge/billing/account-state.ts";
import { type SpentRow, takeUnsaved } from "../../../edge/billing/limits/budgets.ts";
import { setLimits } from "../../../edge/billing/limits/limit-chain.ts";
import { releaseTask, restoreLimits } from "../../../edge/billing/limits/limits-state.ts";
import type {
  LeaseAsk,
  LeaseGrant,
  LeaseReport,
} from "../../../edge/billing/leases/lease-terms.ts";
import type { TaskClosing } from "../../../edge/billing/closing.ts";
import {
  addEarned,
  coverDeficit,
  nextReleaseMs,
  releaseDue,
  type Window,
} from "../../../edge/billing/money/earnings-window.ts";
import { changeBucket } from "../../../edge/billing/money/buckets.ts";
import { enterJournal } from "../../../edge/billing/outbox/enter-journal.ts";
import type { Decided, Incoming } from "../../../edge/billing/money/move-money.ts";
import {
  type OutboxItem,
  outboxPayload,
  readPayload,
} from "../../../edge/billing/outbox/outbox-payload.ts";
import { emptyJournal, type JournalPlace, type JournalRow } from "../../../shared/journal.ts";
import type { Limits } from "../../../shared/limits.ts";
import type { Micros } from "../../../shared/money.ts";
import { LimitChecks } from "./limit-checks.ts";
import { MoneyChecks } from "./money-checks.ts";
import { SimulatedMoves } from "./simulated-moves.ts";
import type { World } from "../world.ts";

/** As in edge/billing/account.ts. */
const outboxDelayMs = 250;
const outboxRetryMs = 5_000;

interface Stored {
  available: Micros;
  earned: Micros;
  others: ReadonlyMap<string, Micros>;
  lots: ReadonlyMap<number, Micros>;
  journal: JournalPlace;
  readonly concurrencyMax: number;
  readonly resolutions: Map<string, { readonly atMs: number }>;
  readonly outbox: { readonly seq: number; readonly payload: string }[];
  readonly earnings: Map<string, number>;
  limits: Limits | null;
  readonly spent: Map<string, SpentRow>;
  seq: number;
}

/**
 * The Durable Object of edge/billing/account.ts around the real rules. `#stored` survives, `#state`
 * does not.
 */
export class SimulatedAccount {
  readonly id: string;
  readonly keyId: string;
  readonly #world: World;
  readonly #skewMs: number;
  readonly #stored: Stored;
  readonly checks: MoneyChecks;
  readonly moves: SimulatedMoves;
  #state: AccountState;
  #isDrainDue = false;
  #releaseMs = Infinity;
  readonly #limitChecks: LimitChecks;

  constructor(world: World, id: string, concurrencyMax: number) {
    this.id = id;
    this.keyId = `key of ${id}`;
    this.#world = world;
    this.#skewMs = world.random.int(-world.options.skewMs, world.options.skewMs);
    this.#stored = {
      available: 0n,
      earned: 0n,
      others: new Map(),
      lots: new Map(),
      journal: emptyJournal,
      concurrencyMax,
      resolutions: new Map(),
      outbox: [],
      earnings: new Map(),
      limits: world.options.limits,
      spent: new Map(),
      seq: 0,
    };
    this.#state = this.#load();
    this.checks = new MoneyChecks(world, id);
    this.moves = new SimulatedMoves(world, this);
    this.#limitChecks = new LimitChecks(id, world.options.limits);
  }

  get nowMs(): number {
    return this.#world.schedule.nowMs + this.#skewMs;
  }

  get window(): Window {
    return { nowMs: this.nowMs, disputeMs: this.#world.options.disputeMs };
  }

  get state(): AccountState {
    return this.#state;
  }

  get outboxLength(): number {
    return this.#stored.outbox.length;
  }

  get resolutionCount(): number {
    return this.#stored.resolutions.size;
  }

  /** Holds are memory: they are lost, what is stored is kept. */
  reset(): void {
    this.#world.trace.note(this.id, "is reset");
    this.#state = this.#load();
    this.#limitChecks.forgetHolds();
  }

  mint(micros: Micros): void {
    const id = `mint ${this.id} ${this.#stored.seq}`;
    const transfer = mintCredit(this.#state, { id, micros }, this.nowMs);
    this.#stored.resolutions.set(id, { atMs: this.nowMs });
    this.record({ transfers: [transfer], earnings: [], lots: [] });
  }

  hold(request: HoldRequest): HoldResult {
    const before = new Map(this.#state.holds);
    const { mutant } = this.#world.options;
    const result = holdCredit(this.#state, request, this.nowMs);
    if (mutant === "limit-unheld") releaseTask(this.#state.limits, request.taskId);
    this.checks.held(this.#state, request, result, before);
    if (result.kind === "held") this.#limitChecks.held(this.#state, request, this.nowMs);
    return result;
  }

  lease(ask: LeaseAsk): LeaseGrant | null {
    const isBroken = this.#world.options.mutant === "limit-leased-around";
    if (isBroken) this.limit(null);
    const grant = grantLease(this.#state, ask, this.nowMs);
    if (isBroken) this.limit(this.#world.options.limits);
    const lease = this.#state.leases.get(ask.id);
    if (lease !== undefined) this.checks.leased(this.#state, lease);
    this.#world.trace.note(this.id, grant === null ? "leases nothing" : `leases ${grant.limit}`);
    return grant;
  }

  returnLeases(reports: readonly LeaseReport[]): void {
    for (const report of reports) returnLease(this.#state, report);
    this.checks.returned(this.#state);
  }

  /** As Account.setLimits, of the whole account, where nothing is leased. */
  limit(limits: Limits | null): void {
    this.#stored.limits = limits;
    this.#limitChecks.limits = limits;
    setLimits(this.#state.limits, { scope: "account", id: this.id }, limits);
  }

  callLease(ask: LeaseAsk, reply: (grant: LeaseGrant | null | "lost") => void): void {
    this.#call(() => this.lease(ask), reply);
  }

  callReturn(reports: readonly LeaseReport[], reply: (isTold: boolean) => void): void {
    const told = (answer: void | "lost") => reply(answer !== "lost");
    this.#call(() => this.returnLeases(reports), told);
  }

  /**
   * The call another object makes: it may get lost, be answered late or not at all, or come twice.
   */
  callClose(closings: readonly TaskClosing[], reply: (isClosed: boolean) => void): void {
    this.#call(
      () => this.close(closings),
      (answer) => reply(answer !== "lost"),
    );
  }

  #call<T>(run: () => T, reply: (answer: T | "lost") => void): void {
    const { random, schedule, options } = this.#world;
    const { lost, replyLost, twice, slowMs } = this.#world.faultsOn ? options.settling : calmCalls;
    const delayMs = random.delayMs(options.delayMs / 2 + slowMs);
    const isLost = random.chance(lost);
    const isReplyLost = random.chance(replyLost);
    schedule.after(delayMs, () => {
      const answer = isLost ? ("lost" as const) : run();
      const heard = isReplyLost ? ("lost" as const) : answer;
      schedule.after(random.delayMs(options.delayMs / 2), () => reply(heard));
    });
    if (random.chance(twice)) schedule.after(4 * delayMs, () => void run());
  }

  /** As Account.close: one transaction, every task once. */
  close(closings: readonly TaskClosing[]): void {
    const { mutant } = this.#world.options;
    const items: OutboxItem[] = [];
    for (const closing of closings) {
      const taskId = closing.terms.task;
      if (!isClosable(closing.terms, this.nowMs)) continue;
      const isResolved = this.#stored.resolutions.has(taskId) && mutant !== "double-post";
      if (isResolved) continue;
      const hold = this.#state.holds.get(taskId) ?? null;
      const isLeased = this.#state.leases.has(closing.terms.lease ?? "");
      const resolution = resolveTask(this.#state, misread(closing, mutant), this.nowMs);
      if (mutant === "lost-hold-release" && hold !== null) {
        this.#state.holds.set(taskId, { ...hold, expiresMs: Number.POSITIVE_INFINITY });
        this.#state.held += hold.limit;
      }
      this.#stored.resolutions.set(taskId, { atMs: this.nowMs });
      this.checks.resolved(this.#state, {
        closing,
        resolution,
        wasHeld: hold !== null || isLeased,
      });
      items.push({ closing, resolution });
      this.#limitChecks.resolved(closing, resolution.cost, this.nowMs);
      this.#world.trace.note(this.id, `${resolution.kind} ${taskId} ${resolution.cost}`);
    }
    if (items.length === 0) return;
    for (const row of takeUnsaved(this.#state.limits, this.nowMs).rows) {
      if (mutant !== "budget-forgotten") this.#stored.spent.set(row.period, row);
    }
    this.record({ ...coverDeficit(this.#state, this.nowMs), earnings: [] }, items);
    this.checks.covered(this.#state);
  }

  /** As edge/billing/money/record-decided.ts. */
  record(decided: Decided, items: readonly OutboxItem[] = []): void {
    const { mutant } = this.#world.options;
    const transfers = [...decided.transfers, ...items.flatMap((item) => item.resolution.transfers)];
    const rows = enterJournal(this.#state, transfers);
    this.#save();
    const told = mutant === "lost-transfer" ? rows.slice(1) : altered(rows, mutant);
    this.#stored.seq += 1;
    const payload = outboxPayload(items, told, decided.earnings);
    this.#stored.outbox.push({ seq: this.#stored.seq, payload });
    this.checks.transferred(this.#state, transfers);
    this.#scheduleDrain(outboxDelayMs);
  }

  /** As Account.earn: rows of one source count once. */
  earn(source: string, rows: readonly Incoming[]): void {
    const seen = this.#stored.earnings.get(source) ?? 0;
    let latest = seen;
    for (const { seq, micros, asset = "CREDIT", bucket = "earned" } of rows) {
      if (seq <= seen) continue;
      latest = Math.max(latest, seq);
      if (asset === "CREDIT" && bucket === "earned") addEarned(this.#state, micros, this.window);
      else changeBucket(this.#state, asset, bucket, micros);
      this.checks.given(asset, bucket, micros);
    }
    this.#stored.earnings.set(source, latest);
    this.#save();
    this.#scheduleRelease();
  }

  /** As Account.alarm: what was earned long enough ago is released. */
  #scheduleRelease(): void {
    const atMs = nextReleaseMs(this.#state);
    if (atMs === null || this.#releaseMs <= atMs) return;
    this.#releaseMs = atMs;
    this.#world.schedule.after(Math.max(0, atMs - this.nowMs), () => {
      this.#releaseMs = Infinity;
      const before = new Map(this.#state.lots);
      const isSkipped = this.#world.options.mutant === "window-skipped";
      const released = releaseDue(this.#state, isSkipped ? Infinity : this.nowMs);
      this.checks.released(before, released.transfers, this.nowMs);
      if (released.transfers.length > 0) this.record({ ...released, earnings: [] });
      this.#scheduleRelease();
    });
  }

  /** As Account.alarm: resolutions are remembered for a while only. */
  forgetOld(): void {
    for (const [taskId, { atMs }] of this.#stored.resolutions) {
      if (atMs < this.nowMs - resolutionKeptMs) this.#stored.resolutions.delete(taskId);
    }
  }

  expire(): void {
    expireHolds(this.#state, this.nowMs);
  }

  #load(): AccountState {
    const state = createAccountState(this.id);
    state.available = this.#stored.available;
    state.earned = this.#stored.earned;
    for (const [place, micros] of this.#stored.others) state.others.set(place, micros);
    for (const [untilMs, micros] of this.#stored.lots) state.lots.set(untilMs, micros);
    state.journal = this.#stored.journal;
    state.concurrencyMax = this.#stored.concurrencyMax;
    state.keys.set(this.keyId, "active");
    const of = { scope: "account", id: this.id } as const;
    const { limits, spent } = this.#stored;
    restoreLimits(state.limits, {
      limits: limits === null ? [] : [{ of, limits }],
      groups: [],
      spent: [...spent.values()],
    });
    return state;
  }

  #save(): void {
    this.#stored.available = this.#state.available;
    this.#stored.earned = this.#state.earned;
    this.#stored.others = new Map(this.#state.others);
    this.#stored.lots = new Map(this.#state.lots);
    this.#stored.journal = this.#state.journal;
  }

  #scheduleDrain(delayMs: number): void {
    if (this.#isDrainDue) return;
    this.#isDrainDue = true;
    this.#world.schedule.after(delayMs, () => {
      this.#isDrainDue = false;
      if (!this.#drain()) this.#scheduleDrain(outboxRetryMs);
    });
  }

  /**
   * As drainOutbox: the ledger, then the providers, then the rows are cleared; any step may fail.
   */
  #drain(): boolean {
    const { ledger, random } = this.#world;
    const rows = this.#stored.outbox.slice(0, 32);
    const last = rows.at(-1);
    if (last === undefined) return true;
    if (ledger.isDown) return false;
    const payloads = rows.map((row) => ({ seq: row.seq, ...readPayload(row.payload) }));
    for (const { settlements } of payloads) ledger.record(settlements);
    for (const { seq, earnings } of payloads) {
      const byAccount = Map.groupBy(earnings, ({ accountId }) => accountId);
      for (const [accountId, given] of byAccount) {
        if (this.#world.faultsOn && random.chance(0.05)) return false;
        const rows = given.map(({ asset, bucket, micros }) => ({ seq, asset, bucket, micros }));
        this.#world.account(accountId).earn(this.id, rows);
      }
    }
    // The transaction that clears them is the object's own: it may die before.
    if (this.#world.faultsOn && random.chance(0.05)) return false;
    this.#stored.outbox.splice(0, rows.length);
    return this.#stored.outbox.length === 0 || this.#drain();
  }
}

const calmCalls = { lost: 0, replyLost: 0, twice: 0, slowMs: 0 };

/** The journal as the ledger is told of it. */
function altered(rows: readonly JournalRow[], mutant: string | null): readonly JournalRow[] {
  if (mutant !== "journal-altered") return rows;
  return rows.map((row) => ({ ...row, createdAt: row.createdAt + 1 }));
}

/** A closing as an account takes it. */
function misread(closing: TaskClosing, mutant: string | null): TaskClosing {
  if (closing.kind === "void") return closing;
  const { factor: _, ...plain } = closing.terms;
  if (mutant === "mode-ignored") return { ...closing, terms: plain };
  if (mutant === "own-worker-paid") {
    const shares = closing.shares.map((share) => {
      const isOwn = share.providerAccountId === closing.terms.account;
      return isOwn ? { ...share, providerAccountId: "a stranger" } : share;
    });
    return { ...closing, shares };
  }
  if (mutant !== "overbilled") return closing;
  const shares = closing.shares.map(({ counts, ...share }) => {
    return { ...share, counts: { ...counts, completionTokens: counts.completionTokens * 3 + 1 } };
  });
  return { ...closing, shares };
}
