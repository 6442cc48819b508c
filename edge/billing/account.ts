import { DurableObject } from "cloudflare:workers";
import type { Limits } from "../../shared/limits.ts";
import type { Micros, TokenCounts } from "../../shared/money.ts";
import { configOf, type Env } from "../env.ts";
import { Later } from "../later.ts";
import { accountObject } from "../objects.ts";
import { createAccountState, hasMemory, holdCredit, resolutionKeptMs } from "./account-state.ts";
import type { AccountSettings, AccountSummary, HoldAnswer, MintResult } from "./account-answers.ts";
import { Books } from "./books.ts";
import { closeTasks } from "./close-tasks.ts";
import type { TaskClosing } from "./closing.ts";
import { HandOver } from "./hand-over.ts";
import { holdRequestOf, notOpen } from "./hold-request.ts";
import { isLimited, type GroupId, type KeySettings, keysUnder } from "./limit-chain.ts";
import { changeKey, changeLimits } from "./limiting.ts";
import { Replies, type ReplyClaim } from "./replies.ts";
import type { LeaseAsk, LeaseGrant, LeaseReport } from "./lease-terms.ts";
import { Leasing } from "./leasing.ts";
import type { Incoming, MoveRequest, MoveResult } from "./move-money.ts";
import { Moves } from "./moves.ts";
import { drainOutbox, type Earn } from "./outbox.ts";
import type { PendRequest, PendResult, PostResult, VoidResult } from "./pending-money.ts";
import { summarise } from "./summarise.ts";
import { type Terms, TicketSeal } from "./ticket.ts";

/** An object without a timer is put to sleep after ten seconds and evicted after a minute or so. */
const awakeMs = 5_000;

/** One account's money: a single writer, so nothing races. The rules are in account-state.ts. */
export class Account extends DurableObject<Env> {
  readonly #books: Books;
  readonly #seal: TicketSeal;
  readonly #replies: Replies;
  readonly #handOver: HandOver;
  readonly #leasing: Leasing;
  readonly #moves: Moves;
  /** Keeps the object in memory while it holds anything there: an idle one would be forgotten. */
  readonly #awake = new Later(() => this.#stayAwake());

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const config = configOf(env);
    const books = new Books(ctx.storage, config.disputeMs);
    this.#books = books;
    this.#seal = new TicketSeal(config.ticketSecret);
    this.#replies = new Replies(books.store);
    const earn: Earn = (accountId, rows) =>
      accountObject(this.env, accountId).earn(books.opened.accountId, rows);
    this.#handOver = new HandOver(ctx.storage, () => drainOutbox(books.store, this.env, earn));
    this.#leasing = new Leasing(books);
    this.#moves = new Moves(books);
    // The object may have died between a change and the alarm for it.
    const isDue = !books.store.isOutboxEmpty();
    if (isDue || this.#moves.nextMs !== null) {
      void ctx.blockConcurrencyWhile(() => this.#plan(isDue ? "soon" : null));
    }
  }

  /** Opens the account, or changes the settings of an open one (L5). */
  async open({ accountId: id, status, concurrencyMax, limits }: AccountSettings): Promise<void> {
    const state = this.#books.state ?? createAccountState(id);
    state.status = status;
    state.concurrencyMax = concurrencyMax;
    this.#books.store.save(state);
    this.#books.state = state;
    if (limits !== undefined) await this.setLimits({ scope: "account", id }, limits);
    if (status === "suspended") await this.#leasing.over(null);
  }

  /** Returns once limits of the account, or of a group of keys, are obeyed everywhere (L5, G6). */
  async setLimits(of: GroupId, limits: Limits | null) {
    const { opened: state, store } = this.#books;
    changeLimits(state, store, of, limits);
    if (limits !== null) await this.#leasing.allOver(keysUnder(state.limits, of));
  }

  isOpen(): boolean {
    return this.#books.state !== null;
  }

  /** Returns once a revoked key is refused everywhere, and its limits are obeyed (L5, G6). */
  async setKey(keyId: string, status: "active" | "revoked", settings?: KeySettings) {
    const { opened: state, store } = this.#books;
    if (settings !== undefined) changeKey(state, store, keyId, settings);
    state.keys.set(keyId, status);
    store.saveKey(keyId, status);
    if (status === "revoked" || isLimited(state.limits, keyId)) await this.#leasing.over(keyId);
  }

  isKeyActive(keyId: string): boolean {
    const { state } = this.#books;
    return state?.keys.get(keyId) === "active" && state.status === "active";
  }

  /** Sets credit aside under `terms`; writes nothing (A4 says what that costs). */
  async hold(terms: Terms, tokensMax?: TokenCounts): Promise<HoldAnswer> {
    const { state } = this.#books;
    if (state === null) return notOpen;
    const result = holdCredit(state, holdRequestOf(terms, tokensMax), Date.now());
    if (result.kind === "refused") return result;
    this.#awake.arm(awakeMs);
    return { ...result, ticket: await this.#seal.seal(terms) };
  }

  /** Lets an isolate hold for a key by itself, for a while; null where it has to ask each time. */
  lease(ask: LeaseAsk): LeaseGrant | null {
    return this.#leasing.grant(ask);
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
    const closed = this.#books.durably(() => closeTasks(this.#books, closings, Date.now()));
    if (closed.items.length > 0) await this.#handOver.schedule("soon");
    return closed.waiting;
  }

  /**
   * New credit from an operator, once per `id`: again changes nothing, and with another amount is
   * refused.
   */
  async mint(mint: { readonly id: string; readonly micros: Micros }): Promise<MintResult> {
    const result = await this.#planned(this.#moves.mint(mint));
    return result.kind === "refused" ? result : { kind: "minted", summary: this.summary() };
  }

  /** Moves money of any asset, all of it or none; the rules are in move-money.ts. */
  move(request: MoveRequest): Promise<MoveResult> {
    return this.#planned(this.#moves.move(request));
  }

  /** Promises money; the rules of this and the next two are in pending-money.ts. */
  pend(request: PendRequest): Promise<PendResult> {
    return this.#planned(this.#moves.pend(request));
  }

  post(post: { readonly id: string; readonly micros: Micros | null }): Promise<PostResult> {
    return this.#planned(this.#moves.post(post));
  }

  void(id: string): Promise<VoidResult> {
    return this.#planned(this.#moves.void(id));
  }

  /** What another account's outbox gives this one; rows seen before are passed over. */
  async earn(source: string, rows: readonly Incoming[]): Promise<void> {
    this.#moves.take(source, rows, this.ctx.id.name ?? "");
    await this.#plan(null);
  }

  summary(): AccountSummary {
    this.#moves.passTime();
    return summarise(this.#books);
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
    this.#books.store.forgetBefore(Date.now() - resolutionKeptMs);
    this.#moves.passTime();
    await this.#handOver.run();
    await this.#plan(null);
  }

  /** The alarm goes off when the outbox wants it, and when time changes something. */
  async #plan(outbox: "soon" | "now" | null): Promise<void> {
    if (outbox !== null) await this.#handOver.schedule(outbox);
    await this.#handOver.wakeBy(this.#moves.nextMs);
  }

  /** A person waits for what comes of it. */
  async #planned<T extends { readonly kind: string }>(result: T): Promise<T> {
    if (!this.#books.store.isOutboxEmpty()) await this.#plan("now");
    return result;
  }

  async #stayAwake(): Promise<void> {
    const { state } = this.#books;
    const isHolding = state !== null && hasMemory(state, Date.now());
    if (isHolding || this.#replies.isRunning) this.#awake.arm(awakeMs);
  }
}
