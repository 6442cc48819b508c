import type { Env } from "../../env.ts";
import { accountObject } from "../../objects.ts";
import type { Books } from "../books.ts";
import { Debts } from "./debts.ts";
import { HandOver } from "./hand-over.ts";
import { drainOutbox } from "./outbox.ts";

/** How an account tells others what it has decided: the ledger, and accounts that it gives to. */
export class Telling {
  readonly handOver: HandOver;
  readonly debts: Debts;

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
}
