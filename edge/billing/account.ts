import { DurableObject } from "cloudflare:workers";
import type { Limits } from "../../shared/limits.ts";
import type { Micros } from "../../shared/money.ts";
import { configOf, type Env } from "../env.ts";
import { Later } from "../later.ts";
import { accountObject } from "../objects.ts";
import { createAccountState, hasMemory, holdCredit, resolutionKeptMs } from "./account-state.ts";
import type {
  AccountSettings,
  AccountSummary,
  HoldAnswer,
  HoldAsk,
  MintResult,
} from "./account-answers.ts";
import { AccountKeys, type KeyAnswer } from "./account-keys.ts";
import { Books } from "./books.ts";
import { closeTasks } from "./close-tasks.ts";
import type { TaskClosing } from "./closing.ts";
import { HandOver } from "./hand-over.ts";
import { holdRequestOf } from "./hold-request.ts";
import { type GroupId, type KeySettings, keysUnder } from "./limit-chain.ts";
import { changeLimits } from "./limiting.ts";
import { Replies, type ReplyClaim } from "./replies.ts";
import type { LeaseAsk, LeaseGrant, LeaseReport } from "./lease-terms.ts";
import { Leasing } from "./leasing.ts";
import type { Incoming, MoveRequest, MoveResult } from "./move-money.ts";
import { Moves } from "./moves.ts";
import { drainOutbox, type Earn } from "./outbox.ts";
import type { PendRequest, PendResult, PostResult, VoidResult } from "./pending-money.ts";
import { Room } from "./room.ts";
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
  readonly #room: Room;
  readonly #keys: AccountKeys;
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
    this.#leasing = new Leasing(books);
    this.#moves = new Moves(books);
    this.#room = new Room(books);
    this.#keys = new AccountKeys(ctx.storage.sql, { env, books, leasing: this.#leasing });
    this.#handOver = new HandOver(ctx.storage, {
      drain: () => drainOutbox(books.store, this.env, earn),
      isEmpty: () => books.store.isOutboxEmpty(),
      nextMs: () => this.#moves.nextMs,
    });
    if (this.#handOver.isOwed) void ctx.blockConcurrencyWhile(() => this.#handOver.plan());
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
    const hold = () => holdCredit(this.#books.opened, holdRequestOf(terms, tokensMax), Date.now());
    const result = await this.#room.find(() => this.#keys.refuse(terms.key, keyChanges) ?? hold());
    if (result.kind !== "held") return result;
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
    const closed = this.#books.durably(() => closeTasks(this.#books, closings, Date.now()));
    this.#room.closed();
    if (closed.items.length > 0) await this.#handOver.schedule("soon");
    return closed.waiting;
  }

  /** New credit, once per `id`: again changes nothing, with another amount it is refused. */
  async mint(mint: Parameters<Moves["mint"]>[0]): Promise<MintResult> {
    const result = await this.#handOver.planned(this.#moves.mint(mint));
    return result.kind === "refused" ? result : { kind: "minted", summary: this.summary() };
  }

  /** Moves money of any asset, all of it or none; the rules are in move-money.ts. */
  move(request: MoveRequest): Promise<MoveResult> {
    return this.#handOver.planned(this.#moves.move(request));
  }

  /** Promises money; the rules of this and the next two are in pending-money.ts. */
  pend(request: PendRequest): Promise<PendResult> {
    return this.#handOver.planned(this.#moves.pend(request));
  }

  post(post: { readonly id: string; readonly micros: Micros | null }): Promise<PostResult> {
    return this.#handOver.planned(this.#moves.post(post));
  }

  void(id: string): Promise<VoidResult> {
    return this.#handOver.planned(this.#moves.void(id));
  }

  /** What another account's outbox gives this one; rows seen before are passed over. */
  async earn(source: string, rows: readonly Incoming[]): Promise<void> {
    this.#moves.take(source, rows, this.ctx.id.name ?? "");
    await this.#handOver.plan();
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
    await this.#handOver.plan();
  }

  async #stayAwake(): Promise<void> {
    const { state } = this.#books;
    const isHolding = state !== null && hasMemory(state, Date.now());
    if (isHolding || this.#replies.isRunning) this.#awake.arm(awakeMs);
  }
}
