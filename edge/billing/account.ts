import { DurableObject } from "cloudflare:workers";
import { configOf, type Env } from "../env.ts";
import { resolutionKeptMs } from "./account-state.ts";
import type { AccountSettings, AccountSummary, HoldAnswer, HoldAsk } from "./account-answers.ts";
import { AccountKeys, type KeyAnswer } from "./account-keys.ts";
import { Awake } from "./awake.ts";
import { Books } from "./books.ts";
import { closeTasks } from "./close-tasks.ts";
import { holdRequestOf } from "./hold-request.ts";
import { type GroupId, type KeySettings, keysUnder } from "./limits/limit-chain.ts";
import { changeLimits } from "./limits/limiting.ts";
import { openBooks } from "./open-account.ts";
import { Purchases } from "./purchases/purchases.ts";
import { type Asker, Replies, type ReplyClaim } from "./replies.ts";
import { Leasing } from "./leases/leasing.ts";
import { Moves } from "./money/moves.ts";
import { Telling } from "./outbox/telling.ts";
import { restoreState, restoringId } from "./restoring/restore-state.ts";
import { Room } from "./room.ts";
import { summarise } from "./summarise.ts";
import { type Terms, TicketSeal } from "./ticket.ts";

/** One account's money: a single writer, so nothing races. The rules are in account-state.ts. */
export class Account extends DurableObject<Env> {
  readonly #books: Books;
  readonly #seal: TicketSeal;
  readonly #replies: Replies;
  readonly #telling: Telling;
  readonly #leasing: Leasing;
  readonly #moves: Moves;
  readonly #room = new Room();
  readonly #keys: AccountKeys;
  readonly #purchases: Purchases;
  readonly #awake: Awake;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const config = configOf(env);
    const books = new Books(ctx.storage, config.disputeMs);
    this.#books = books;
    this.#seal = new TicketSeal(config.ticketSecret);
    this.#replies = new Replies(books.store, (by) => this.#keys.use(by.keyId, by.changes));
    this.#awake = new Awake(books, this.#replies);
    this.#leasing = new Leasing(books, this.#awake);
    this.#moves = new Moves(books);
    this.#keys = new AccountKeys(ctx.storage.sql, { env, books, leasing: this.#leasing });
    const nextMs = () => [this.#moves.nextMs, this.#purchases.nextMs];
    this.#telling = new Telling(ctx.storage, { books, env: () => this.env, nextMs });
    const parts = { env, books, account: this, handOver: this.#telling.handOver };
    this.#purchases = new Purchases(ctx.storage.sql, parts);
    this.#telling.begin(ctx);
  }

  /** Opens the account, or changes the settings of an open one (L5). */
  async open(settings: AccountSettings): Promise<void> {
    await openBooks(this.#books, this.env, settings);
    const { accountId: id, limits } = settings;
    if (limits !== undefined) await this.setLimits({ scope: "account", id }, limits);
    if (settings.status === "suspended") await this.#leasing.over(null);
  }

  /** Returns once limits of the account, or of a group of keys, are obeyed everywhere (L5, G6). */
  async setLimits(of: GroupId, limits: Parameters<typeof changeLimits>[3]) {
    const { opened: state, store } = this.#books;
    changeLimits(state, store, of, limits);
    if (limits !== null) await this.#leasing.allOver(keysUnder(state.limits, of));
  }

  isOpen(): boolean {
    return (this.#books.state?.standing ?? "waiting") !== "waiting";
  }

  /** Who may earn for the account; the rules are in account-workers.ts. */
  workers(ask: Parameters<Books["workers"]["answer"]>[0]) {
    return this.#books.workers.answer(ask);
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
  async hold(terms: Terms, { keyChanges = 0, ...ask }: HoldAsk = {}): Promise<HoldAnswer> {
    const why = () => this.#keys.refuse(terms.key, keyChanges);
    const result = await this.#room.hold(this.#books, holdRequestOf(terms, ask), why);
    if (result.kind === "held") this.#awake.stay();
    return result.kind === "held" ? { ...result, ticket: await this.#seal.seal(terms) } : result;
  }

  /** Lets an isolate hold for a key by itself, for a while; null where it has to ask each time. */
  lease(ask: Parameters<Leasing["grant"]>[0], keyChanges = 0): ReturnType<Leasing["grant"]> {
    return this.#keys.refuse(ask.keyId, keyChanges) === null ? this.#leasing.grant(ask) : null;
  }

  /** Isolates have done with leases. */
  returnLeases(reports: Parameters<Leasing["take"]>[0]): void {
    this.#leasing.take(reports);
  }

  /** Posts or voids tasks durably, each once (A2); gives those that must be brought again. */
  async close(closings: Parameters<typeof closeTasks>[1]): Promise<readonly string[]> {
    const closed = this.#purchases.keep(() => closeTasks(this.#books, closings, Date.now()));
    this.#room.closed();
    if (closed.items.length > 0) await this.#telling.handOver.schedule("soon");
    return closed.waiting;
  }

  /** New credit, once per `id`: again changes nothing, with another amount it is refused. */
  async mint(mint: Parameters<Moves["mint"]>[0]) {
    const result = await this.#telling.handOver.planned(this.#moves.mint(mint));
    return result.kind === "refused" ? result : { ...result, summary: this.summary() };
  }

  /** Buys credit with a signed transfer, or promises it, for one task: see purchases.ts. */
  buy(ask: Parameters<Purchases["buy"]>[0]): ReturnType<Purchases["buy"]> {
    return this.#purchases.buy(ask);
  }

  /** Nothing came of the task that it was for. */
  returnPurchase(id: string, taskId: string): void {
    this.#purchases.takeBack(id, taskId);
  }

  /** Moves money of any asset, all of it or none; the rules are in move-money.ts. */
  move(request: Parameters<Moves["move"]>[0]) {
    return this.#telling.handOver.planned(this.#moves.move(request));
  }

  /** Promises money; the rules of this and the next two are in pending-money.ts. */
  pend(request: Parameters<Moves["pend"]>[0]) {
    return this.#telling.handOver.planned(this.#moves.pend(request));
  }

  post(post: Parameters<Moves["post"]>[0]) {
    return this.#telling.handOver.planned(this.#moves.post(post));
  }

  void(id: string) {
    return this.#telling.handOver.planned(this.#moves.void(id));
  }

  /** How far this account has told another one what it gave it. */
  toldTo(accountId: string) {
    return this.#telling.toldTo(accountId);
  }

  wasRestored(id: string): boolean {
    return this.#books.money.moveOf(restoringId(id)) !== null;
  }

  /** Takes over what the ledger knows of this account: see restore-state.ts. */
  restore(order: Parameters<typeof restoreState>[2]) {
    return this.#telling.handOver.planned(restoreState(this.#books, this.#telling, order));
  }

  /** What another account's outbox gives this one; rows seen before are passed over. */
  async earn(source: string, rows: Parameters<Moves["take"]>[1]): Promise<void> {
    this.#moves.take(source, rows, this.ctx.id.name ?? "");
    await this.#telling.handOver.plan();
  }

  summary(): AccountSummary {
    this.#moves.passTime();
    return summarise(this.#books, this.#telling.debts.store);
  }

  /** Claims an idempotency key for a request; see `Replies`. */
  claimReply(key: string, requestHash: string, by: Asker): ReplyClaim {
    this.#awake.stay();
    return this.#replies.claim(key, { requestHash, by }, Date.now());
  }

  /** Ends a claim: with the reply to repeat, or with none, so that the next one is done afresh. */
  finishReply(key: string, requestHash: string, reply: string | null): void {
    this.#replies.finish(key, requestHash, reply, Date.now());
  }

  override async alarm(): Promise<void> {
    this.#books.forgetBefore(Date.now() - resolutionKeptMs);
    this.#moves.passTime();
    await this.#telling.run(this.ctx);
    await this.#purchases.run();
    await this.#telling.handOver.plan();
  }
}
