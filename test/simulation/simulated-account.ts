import {
  addLease,
  grantLease,
  type Lease,
  returnLease,
} from "../../edge/billing/account-leases.ts";
import {
  type AccountState,
  createAccountState,
  expireHolds,
  holdCredit,
  type HoldRequest,
  type HoldResult,
  isClosable,
  ledgerName,
  mintCredit,
  resolutionKeptMs,
  resolveTask,
  type Transfer,
} from "../../edge/billing/account-state.ts";
import { type SpentRow, takeUnsaved } from "../../edge/billing/budgets.ts";
import { setLimits } from "../../edge/billing/limit-chain.ts";
import { releaseTask, restoreLimits } from "../../edge/billing/limits-state.ts";
import type { LeaseAsk, LeaseGrant, LeaseReport } from "../../edge/billing/lease-terms.ts";
import type { TaskClosing } from "../../edge/billing/closing.ts";
import { type OutboxItem, outboxPayload, readPayload } from "../../edge/billing/outbox-payload.ts";
import type { Limits } from "../../shared/limits.ts";
import type { Micros } from "../../shared/money.ts";
import { LimitChecks } from "./limit-checks.ts";
import { MoneyChecks } from "./money-checks.ts";
import type { World } from "./world.ts";

/** As in edge/billing/account.ts. */
const outboxDelayMs = 250;
const outboxRetryMs = 5_000;

interface Stored {
  balance: Micros;
  earned: Micros;
  readonly concurrencyMax: number;
  readonly resolutions: Map<string, { readonly atMs: number }>;
  readonly outbox: { readonly seq: number; readonly payload: string }[];
  readonly earnings: Map<string, number>;
  leases: readonly Lease[];
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
  #state: AccountState;
  #isDrainDue = false;
  readonly #limitChecks: LimitChecks;

  constructor(world: World, id: string, concurrencyMax: number) {
    this.id = id;
    this.keyId = `key of ${id}`;
    this.#world = world;
    this.#skewMs = world.random.int(-world.options.skewMs, world.options.skewMs);
    this.#stored = {
      balance: 0n,
      earned: 0n,
      concurrencyMax,
      resolutions: new Map(),
      outbox: [],
      earnings: new Map(),
      leases: [],
      limits: world.options.limits,
      spent: new Map(),
      seq: 0,
    };
    this.#state = this.#load();
    this.checks = new MoneyChecks(world, id);
    this.#limitChecks = new LimitChecks(id, world.options.limits);
  }

  get nowMs(): number {
    return this.#world.schedule.nowMs + this.#skewMs;
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
    this.#save();
    this.#append(outboxPayload([], [transfer]), [transfer]);
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
    this.#save();
    const lease = this.#state.leases.get(ask.id);
    if (lease !== undefined) this.checks.leased(this.#state, lease);
    this.#world.trace.note(this.id, grant === null ? "leases nothing" : `leases ${grant.limit}`);
    return grant;
  }

  returnLeases(reports: readonly LeaseReport[]): void {
    for (const report of reports) returnLease(this.#state, report);
    this.#save();
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
      const resolution = resolveTask(this.#state, overbilled(closing, mutant), this.nowMs);
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
    this.#save();
    const transfers = items.flatMap((item) => item.resolution.transfers);
    this.#append(
      outboxPayload(mutant === "lost-transfer" ? items.map(untransferred) : items, []),
      transfers,
    );
  }

  /** As Account.earn: rows of one source count once. */
  earn(source: string, rows: readonly { readonly seq: number; readonly micros: Micros }[]): void {
    const seen = this.#stored.earnings.get(source) ?? 0;
    let latest = seen;
    for (const row of rows) {
      if (row.seq <= seen) continue;
      this.#state.earned += row.micros;
      latest = Math.max(latest, row.seq);
    }
    this.#stored.earnings.set(source, latest);
    this.#save();
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
    state.balance = this.#stored.balance;
    state.earned = this.#stored.earned;
    state.concurrencyMax = this.#stored.concurrencyMax;
    state.keys.set(this.keyId, "active");
    for (const lease of this.#stored.leases) addLease(state, { ...lease });
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
    this.#stored.balance = this.#state.balance;
    this.#stored.earned = this.#state.earned;
    this.#stored.leases = [...this.#state.leases.values()].map((lease) => ({ ...lease }));
  }

  #append(payload: string, transfers: readonly Transfer[]): void {
    this.#stored.seq += 1;
    this.#stored.outbox.push({ seq: this.#stored.seq, payload });
    this.checks.transferred(transfers, ledgerName.available(this.id), this.#state.balance);
    this.#scheduleDrain(outboxDelayMs);
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
      for (const { accountId, micros } of earnings) {
        if (this.#world.faultsOn && random.chance(0.05)) return false;
        this.#world.account(accountId).earn(this.id, [{ seq, micros }]);
      }
    }
    // The transaction that clears them is the object's own: it may die before.
    if (this.#world.faultsOn && random.chance(0.05)) return false;
    this.#stored.outbox.splice(0, rows.length);
    return this.#stored.outbox.length === 0 || this.#drain();
  }
}

const calmCalls = { lost: 0, replyLost: 0, twice: 0, slowMs: 0 };

function untransferred(item: OutboxItem): OutboxItem {
  return { ...item, resolution: { ...item.resolution, transfers: [] } };
}

function overbilled(closing: TaskClosing, mutant: string | null): TaskClosing {
  if (mutant !== "overbilled" || closing.kind === "void") return closing;
  const shares = closing.shares.map(({ counts, ...share }) => {
    return { ...share, counts: { ...counts, completionTokens: counts.completionTokens * 3 + 1 } };
  });
  return { ...closing, shares };
}
