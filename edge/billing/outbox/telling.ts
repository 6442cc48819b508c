import type { Env } from "../../env.ts";
import { accountObject } from "../../objects.ts";
import type { Books } from "../books.ts";
import { Debts } from "./debts.ts";
import { HandOver } from "./hand-over.ts";
import { drainOutbox } from "./outbox.ts";
import { type Told, toldTo } from "./told-to.ts";

/** How an account tells others what it has decided: the ledger, and accounts that it gives to. */
export class Telling {
  readonly handOver: HandOver;
  readonly debts: Debts;
  readonly #books: Books;

  /** `nextMs` is when time changes something of the account. */
  constructor(
    storage: DurableObjectStorage,
    parts: {
      readonly books: Books;
      readonly env: () => Env;
      readonly nextMs: () => readonly (number | null)[];
    },
  ) {
    const { books, env, nextMs } = parts;
    this.#books = books;
    const by = () => books.opened.accountId;
    this.debts = new Debts(storage.sql, {
      by,
      earn: (accountId, rows) => accountObject(env(), accountId).earn(by(), rows),
      onDone: () => this.handOver.plan(),
    });
    this.handOver = new HandOver(storage, {
      drain: () => drainOutbox(books, env(), this.debts),
      isEmpty: () => books.store.isOutboxEmpty(),
      nextMs: () => [...nextMs(), this.debts.nextMs],
    });
  }
  /** The object may have died between a change and the alarm for it. */
  begin(ctx: DurableObjectState): void {
    if (this.handOver.isOwed) void ctx.blockConcurrencyWhile(() => this.handOver.plan());
  }

  /** Tells who is to be told now. What others are owed is told beside it: see debts.ts. */
  async run(ctx: DurableObjectState): Promise<void> {
    ctx.waitUntil(this.debts.run());
    await this.handOver.run();
  }

  /** How far another account was told what this one gave it. */
  toldTo(accountId: string): Told {
    return toldTo(this.#books, this.debts.store, accountId);
  }
}
