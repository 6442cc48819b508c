import { assert } from "../../../shared/assert.ts";
import { describeError } from "../../../shared/log.ts";
import type { Micros } from "../../../shared/money.ts";
import { databaseOf } from "../../database.ts";
import { recordFirstDeposit } from "../../db/money/deposits.ts";
import type { Env } from "../../env.ts";
import { edgeLog } from "../../log.ts";
import { askToSettle } from "../../x402/facilitator.ts";
import { guestKeyId } from "../../x402/payer.ts";
import type { AccountSettings, MintResult } from "../account-answers.ts";
import type { Books } from "../books.ts";
import { freeCredit, lackingCredit } from "../money/buckets.ts";
import type { HandOver } from "../outbox/hand-over.ts";
import { type AccountState, expireHolds, type Mint } from "../account-state.ts";
import type { Closed } from "../close-tasks.ts";
import { Promises } from "./promises.ts";
import type { PurchaseAnswer, PurchaseAsk } from "./purchase-answers.ts";
import { isAsked, type Purchase, PurchaseStore } from "./purchase-store.ts";

/**
 * Credit that is bought with signed transfers of a token, each for one request (x402): before it
 * runs, of which these are the rules (`exact`), or after it (`upto`, promises.ts).
 * P1. A transfer is credited once, under an id of its own, however often it is sent, and only after
 *     the facilitator has said that it is settled.
 * P2. It runs one task; where nothing came of that, it is given back and runs another.
 * P3. It is stored before the facilitator is asked, and is asked of again, by alarm and by whoever
 *     sends it again, until there is a word: a lost answer loses nothing.
 * P4. A refusal after a lost answer may mean that the first was a success (tokens take a nonce
 *     once), or that its owner cancelled it. Nobody guesses: it is kept, and the operator told.
 * P5. Each that was credited is in the registry's deposits, sooner or later.
 */

type Told = { readonly kind: "credited" | "unknown" | "doubtful" } | Refused;
type Refused = { readonly kind: "refused"; readonly reason: string };

/** What one payer's programs may run at once; an operator changes it as for any account. */
const concurrencyMax = 128;
/** A payer is waiting, and sends it again. */
const retryMs = 5_000;
/** A transfer that ended this long ago is settled by now, or never will be. */
const doubtAfterMs = 10 * 60_000;
/** Clocks differ by less. */
const keptMs = 24 * 3_600_000;

/** What purchases need of their Account. */
interface Parts {
  readonly env: Env;
  readonly books: Books;
  readonly account: Purse;
  /** Sees to it that an alarm goes off at `nextMs`. */
  readonly handOver: Pick<HandOver, "plan">;
}

/** The Account itself, as far as it matters here. */
interface Purse {
  open(settings: AccountSettings): Promise<void>;
  setKey(keyId: string, status: "active"): Promise<void>;
  mint(mint: Mint): Promise<MintResult>;
}

export class Purchases {
  readonly #store: PurchaseStore;
  readonly #parts: Parts;
  readonly #promises: Promises;
  readonly #asking = new Map<string, Promise<Told>>();
  #nextMs: number | null;

  constructor(sql: SqlStorage, parts: Parts) {
    this.#store = new PurchaseStore(sql);
    this.#parts = parts;
    this.#promises = new Promises(this.#store, parts);
    this.#nextMs = this.#store.isDue() ? 0 : null;
  }

  /** When there is something to ask or to tell; null for never. */
  get nextMs(): number | null {
    return this.#nextMs;
  }

  async buy(ask: PurchaseAsk): Promise<PurchaseAnswer> {
    const { id, taskId, limit, micros } = ask;
    const state = await this.#opened(ask.accountId);
    // Nothing is settled that could not be credited.
    const canBeCredited = state.status === "active" && state.standing === "open";
    if (!canBeCredited) return { kind: "suspended" };
    expireHolds(state, Date.now());
    const tasks = state.holds.size + state.leasedTasks;
    if (tasks >= state.concurrencyMax) return { kind: "busy", tasks };
    if (ask.scheme === "upto") return this.#promises.take(ask);
    const known = this.#store.find(id);
    if (known !== null && known.taskId !== null) return { kind: "used", taskId: known.taskId };
    if (known?.state === "doubtful") return { kind: "doubtful" };
    // A debt is paid with it, too.
    const free = freeCredit(state) + (known?.state === "credited" ? 0n : micros);
    if (free < limit) return { kind: "short", free, lacking: lackingCredit(state) };
    if (known === null) this.#store.add({ ...ask, state: "settling", transaction: "", asked: 0 });
    else this.#store.give(id, taskId);
    const told = await this.#settle(id);
    if (told.kind === "credited") {
      const transaction = this.#store.find(id)?.transaction ?? "";
      return { kind: "bought", transaction, free: freeOf(this.#parts.books.opened) };
    }
    this.#store.takeBack(id, taskId);
    return told.kind === "refused" ? told : { kind: told.kind };
  }

  /** Nothing came of the task that had it (P2). */
  takeBack(id: string, taskId: string): void {
    if (!this.#promises.giveUp(id, taskId)) this.#store.takeBack(id, taskId);
  }

  /** Closes tasks durably, and in the same transaction owes what they cost, where promised (S2). */
  keep(close: () => Closed): Closed {
    return this.#parts.books.durably(() => {
      const closed = close();
      if (this.#promises.fall(closed)) this.#nextMs = Date.now();
      return closed;
    });
  }

  /** By alarm: asks again, tells the registry, forgets. */
  async run(): Promise<void> {
    for (const { id } of this.#store.settling()) {
      // Refused meanwhile, to whoever sent it.
      if (this.#store.find(id) !== null) await this.#settle(id);
    }
    await this.#tell();
    this.#store.forgetBefore(Date.now() - keptMs);
    this.#nextMs = this.#store.isDue() ? Date.now() + retryMs : null;
  }

  /** Once at a time for each: whoever comes meanwhile hears the same. */
  #settle(id: string): Promise<Told> {
    const asking = this.#asking.get(id) ?? this.#ask(id).finally(() => this.#asking.delete(id));
    this.#asking.set(id, asking);
    return asking;
  }

  async #ask(id: string): Promise<Told> {
    const purchase = this.#store.find(id);
    assert(purchase !== null, "a purchase is stored before it is settled");
    const { state } = purchase;
    if (!isAsked(state)) {
      assert(state !== "running" && state !== "unused", "only what is due is settled");
      return { kind: state };
    }
    // The object may die under the question (P3).
    await this.#wake(retryMs);
    // It died between the word and the credit.
    if (purchase.transaction !== "") return this.#credit(purchase);
    this.#store.countAsked(id);
    const answer = await askToSettle(this.#parts.env, purchase.body);
    if (answer.kind === "settled") {
      const { transaction } = answer;
      this.#store.settled(id, transaction);
      return this.#credit({ ...purchase, transaction });
    }
    if (answer.kind === "refused") {
      if (purchase.asked > 0 || state === "owed") return this.#doubt(purchase, answer.reason);
      this.#store.remove(id);
      return answer;
    }
    edgeLog("warn", "no word of a settlement", { purchase: id, reason: answer.reason });
    const isLate = Date.now() > purchase.untilMs + doubtAfterMs;
    return isLate ? this.#doubt(purchase, answer.reason) : { kind: "unknown" };
  }

  async #credit(purchase: Purchase): Promise<Told> {
    const { id, micros, transaction } = purchase;
    const minted = await this.#parts.account.mint({ id, micros, reason: `x402 ${transaction}` });
    if (minted.kind === "refused") return this.#doubt(purchase, minted.reason);
    this.#store.end(id, "credited");
    await this.#wake(0);
    return { kind: "credited" };
  }

  async #doubt({ id, micros, state }: Purchase, reason: string): Promise<Told> {
    const words = "a transfer may be settled and is not credited: see the chain";
    edgeLog("error", state === "owed" ? `${words}; its account owes what a task cost` : words, {
      purchase: id,
      account: this.#parts.books.opened.accountId,
      micros: micros.toString(),
      reason,
    });
    this.#store.end(id, "doubtful");
    await this.#wake(0);
    return { kind: "doubtful" };
  }

  async #tell(): Promise<void> {
    for (const { id, state, micros, payer, transaction } of this.#store.untold()) {
      try {
        await using db = databaseOf(this.#parts.env);
        const { accountId } = this.#parts.books.opened;
        const createdAt = Date.now();
        const account = { id: accountId, name: payer, concurrencyMax, createdAt };
        const deposit = { id, asset: "CREDIT", amountMicros: micros, reference: transaction };
        // Whoever is to be given credit by hand has to be known, too (P4).
        const isCredited = state === "credited";
        await recordFirstDeposit(db, account, isCredited ? { ...deposit, rail: "x402" } : null);
        this.#store.told(id);
      } catch (error) {
        // It stays untold, and is told by the next alarm.
        edgeLog("warn", "a deposit is not in the registry yet", { error: describeError(error) });
        return;
      }
    }
  }

  /** Nobody is in the registry before a transfer is credited: a signature alone is free to make. */
  async #opened(accountId: string): Promise<AccountState> {
    const { account, books } = this.#parts;
    if (books.state?.keys.has(guestKeyId) !== true) {
      // One that only earned may run nothing.
      const { status = "active", concurrencyMax: before = 0 } = books.state ?? {};
      const most = before === 0 ? concurrencyMax : before;
      await account.open({ accountId, status, concurrencyMax: most });
      await account.setKey(guestKeyId, "active");
    }
    return books.opened;
  }

  async #wake(afterMs: number): Promise<void> {
    this.#nextMs = Date.now() + afterMs;
    await this.#parts.handOver.plan();
  }
}

/** What an account can spend and holds for nothing. */
function freeOf(state: AccountState): Micros {
  const free = freeCredit(state);
  return free > 0n ? free : 0n;
}
