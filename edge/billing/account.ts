import { DurableObject } from "cloudflare:workers";
import { assert } from "../../shared/assert.ts";
import type { Limits } from "../../shared/limits.ts";
import type { Micros } from "../../shared/money.ts";
import { configOf, type Env } from "../env.ts";
import { Later } from "../later.ts";
import { accountObject } from "../objects.ts";
import {
  type AccountState,
  createAccountState,
  expireHolds,
  hasMemory,
  holdCredit,
  keepMemory,
  refuseMint,
  resolutionKeptMs,
} from "./account-state.ts";
import type {
  AccountSettings,
  AccountSummary,
  HoldAnswer,
  HoldAsk,
  MintResult,
} from "./account-answers.ts";
import { AccountKeys, type KeyAnswer } from "./account-keys.ts";
import { AccountStore } from "./account-store.ts";
import { accountSummary } from "./account-summary.ts";
import { closeTasks } from "./close-tasks.ts";
import type { TaskClosing } from "./closing.ts";
import { HandOver } from "./hand-over.ts";
import { holdRequestOf } from "./hold-request.ts";
import { type GroupId, type KeySettings, keysUnder } from "./limit-chain.ts";
import { changeLimits } from "./limiting.ts";
import { Replies, type ReplyClaim } from "./replies.ts";
import type { LeaseAsk, LeaseGrant, LeaseReport } from "./lease-terms.ts";
import { Leasing } from "./leasing.ts";
import { drainOutbox, type Earn } from "./outbox.ts";
import { type PurchaseAnswer, type PurchaseAsk, Purchases } from "./purchases.ts";
import { recordMint } from "./record-mint.ts";
import { takeEarnings } from "./take-earnings.ts";
import { type Terms, TicketSeal } from "./ticket.ts";

/** An object without a timer is put to sleep after ten seconds and evicted after a minute or so. */
const awakeMs = 5_000;

/** One account's money: a single writer, so nothing races. The rules are in account-state.ts. */
export class Account extends DurableObject<Env> {
  readonly #store: AccountStore;
  readonly #seal: TicketSeal;
  readonly #replies: Replies;
  readonly #handOver: HandOver;
  readonly #leasing: Leasing;
  readonly #keys: AccountKeys;
  readonly #purchases: Purchases;
  /** Keeps the object in memory while it holds anything there: an idle one would be forgotten. */
  readonly #awake = new Later(() => this.#stayAwake());
  #state: AccountState | null;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#store = new AccountStore(ctx.storage.sql);
    this.#state = this.#store.load();
    this.#seal = new TicketSeal(configOf(env).ticketSecret);
    this.#replies = new Replies(this.#store);
    const earn: Earn = (accountId, rows) =>
      accountObject(this.env, accountId).earn(this.#opened().accountId, rows);
    this.#handOver = new HandOver(ctx.storage, () => drainOutbox(this.#store, this.env, earn));
    const state = () => this.#state;
    this.#leasing = new Leasing(this.#store, state, (change) => this.#durably(change));
    const parts = { env, store: this.#store, leasing: this.#leasing, state };
    this.#keys = new AccountKeys(ctx.storage.sql, parts);
    this.#purchases = new Purchases(ctx.storage, { env, state, account: this });
    // The object may have died between a row of the outbox and the alarm for it.
    if (!this.#store.isOutboxEmpty() || this.#purchases.isDue) {
      void ctx.blockConcurrencyWhile(() => this.#handOver.schedule("soon"));
    }
  }

  /** Opens the account, or changes the settings of an open one (L5). */
  async open({ accountId: id, status, concurrencyMax, limits }: AccountSettings): Promise<void> {
    const state = this.#state ?? createAccountState(id);
    state.status = status;
    state.concurrencyMax = concurrencyMax;
    this.#store.save(state);
    this.#state = state;
    if (limits !== undefined) await this.setLimits({ scope: "account", id }, limits);
    if (status === "suspended") await this.#leasing.over(null);
  }

  /** Returns once limits of the account, or of a group of keys, are obeyed everywhere (L5, G6). */
  async setLimits(of: GroupId, limits: Limits | null) {
    const state = this.#opened();
    changeLimits(state, this.#store, of, limits);
    if (limits !== null) await this.#leasing.allOver(keysUnder(state.limits, of));
  }

  isOpen(): boolean {
    return this.#state !== null;
  }

  /** Returns once a revoked key is refused everywhere, and its limits are obeyed (K1, L5, G6). */
  setKey(keyId: string, status: "active" | "revoked", settings?: KeySettings): Promise<void> {
    return this.#keys.set(keyId, status, settings);
  }

  /** Returns once nothing is begun by the key's settings of before (K2). */
  changeKey(keyId: string, expiresMs: number | null, settings?: KeySettings): Promise<void> {
    return this.#keys.change(keyId, expiresMs, settings);
  }

  /** Whether a key may be used by settings of so many changes, where nothing is held. */
  useKey(keyId: string, changes: number): KeyAnswer {
    return this.#keys.use(keyId, changes);
  }

  keyChanges(keyId: string): number {
    return this.#keys.changesOf(keyId);
  }

  /** Sets credit aside under `terms`; writes nothing (A4 says what that costs). */
  async hold(terms: Terms, { tokensMax, keyChanges = 0 }: HoldAsk = {}): Promise<HoldAnswer> {
    const refused = this.#keys.refuse(terms.key, keyChanges);
    if (refused !== null) return refused;
    const result = holdCredit(this.#opened(), holdRequestOf(terms, tokensMax), Date.now());
    if (result.kind === "refused") return result;
    this.#awake.arm(awakeMs);
    return { ...result, ticket: await this.#seal.seal(terms) };
  }

  /** Lets an isolate hold for a key by itself, for a while; null where it has to ask each time. */
  lease(ask: LeaseAsk, keyChanges = 0): LeaseGrant | null {
    return this.#keys.refuse(ask.keyId, keyChanges) === null ? this.#leasing.grant(ask) : null;
  }

  /** Isolates have done with leases. */
  returnLeases(reports: readonly LeaseReport[]): void {
    this.#leasing.take(reports);
  }

  /**
   * Posts or voids tasks; returns once that is durable. Tasks that were resolved before are passed
   * over (A2). Gives the tasks that must wait and be brought again.
   */
  async close(closings: readonly TaskClosing[]): Promise<readonly string[]> {
    const state = this.#opened();
    const closed = this.#durably(() => closeTasks(state, this.#store, closings, Date.now()));
    if (closed.items.length > 0) await this.#handOver.schedule("soon");
    return closed.waiting;
  }

  /**
   * New credit from an operator, once per `id`: again changes nothing, and with another amount is
   * refused.
   */
  async mint(mint: { readonly id: string; readonly micros: Micros }): Promise<MintResult> {
    const state = this.#opened();
    const before = this.#store.resolvedMicros(mint.id);
    const refused = refuseMint(state, mint.micros, before);
    if (refused !== null) return refused;
    if (before === null) {
      this.#durably(() => recordMint(state, this.#store, mint));
      await this.#handOver.schedule("now");
    }
    return { kind: "minted", summary: this.summary() };
  }

  /** Buys credit with a signed transfer, for one task; the rules are in purchases.ts. */
  buy(ask: PurchaseAsk): Promise<PurchaseAnswer> {
    return this.#purchases.buy(ask);
  }

  /** Nothing came of the task that credit was bought for (P2). */
  returnPurchase(id: string, taskId: string): void {
    this.#purchases.giveBack(id, taskId);
  }

  /** What this account earned by rows of another's outbox; rows seen before are passed over. */
  earn(source: string, rows: readonly { readonly seq: number; readonly micros: Micros }[]): void {
    this.#durably(() => takeEarnings(this.#opened(), this.#store, { source, rows }));
  }

  summary(): AccountSummary {
    const state = this.#opened();
    expireHolds(state, Date.now());
    return accountSummary(state, this.#store.isOutboxEmpty());
  }

  /** Claims an idempotency key for a request; see `Replies`. */
  claimReply(key: string, requestHash: string): ReplyClaim {
    this.#awake.arm(awakeMs);
    return this.#replies.claim(key, requestHash, Date.now());
  }

  /** Ends a claim: with the reply to repeat, or with none, so that the next one is done afresh. */
  finishReply(key: string, requestHash: string, reply: string | null): void {
    this.#replies.finish(key, requestHash, reply, Date.now());
  }

  override async alarm(): Promise<void> {
    this.#store.forgetBefore(Date.now() - resolutionKeptMs);
    await this.#handOver.run();
    await this.#purchases.run();
  }

  #opened(): AccountState {
    assert(this.#state !== null, "the account is open before its money moves");
    return this.#state;
  }

  async #stayAwake(): Promise<void> {
    const isHolding = this.#state !== null && hasMemory(this.#state, Date.now());
    if (isHolding || this.#replies.isRunning) this.#awake.arm(awakeMs);
  }

  /**
   * Memory follows storage: where the transaction fails, memory is read again from what is stored.
   */
  #durably<T>(change: () => T): T {
    try {
      return this.ctx.storage.transactionSync(change);
    } catch (error) {
      const before = this.#state;
      this.#state = this.#store.load();
      if (this.#state !== null && before !== null) keepMemory(this.#state, before);
      throw error;
    }
  }
}
