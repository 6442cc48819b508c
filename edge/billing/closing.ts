import type { Price, TokenCounts } from "../../shared/money.ts";
import type { Class } from "../../shared/protocol/listing.ts";
import type { SignedReceipt } from "../../shared/protocol/receipt.ts";
import type { Terms } from "./ticket.ts";

/** How one attempt of a task went, for the record. */
export interface AttemptRecord {
  readonly number: number;
  readonly workerId: string;
  /** `complete`, `cancelled`, or why it was lost. */
  readonly outcome: string;
  readonly startedMs: number;
  readonly firstTokenMs: number | null;
  readonly endedMs: number;
  readonly tokens: number;
  /** Bytes that were relayed: of the request to the worker, and of its output to the hub. */
  readonly bytesIn: number;
  readonly bytesOut: number;
}

export interface CountersignedReceipt {
  readonly signed: SignedReceipt;
  readonly edgeKey: string;
  readonly edgeSignature: string;
}

/** What is remembered of a task that has ended. */
export interface TaskRecord {
  readonly digest: string | null;
  readonly class: Class;
  readonly finish: string;
  readonly errorCode: string | null;
  readonly route: string | null;
  readonly firstTokenMs: number | null;
  readonly endedMs: number;
  readonly attempts: readonly AttemptRecord[];
  readonly receipt: CountersignedReceipt | null;
}

/** What one worker made of an answer. */
export interface PaidShare {
  /** The number of its attempt. */
  readonly attempt: number;
  readonly providerAccountId: string;
  readonly counts: TokenCounts;
  readonly price: Price;
}

/** The end of one task for the books: either tokens to pay for, or nothing. */
export type TaskClosing = {
  readonly terms: Terms;
  readonly record: TaskRecord;
} & (
  | {
      readonly kind: "post";
      /** Of the whole answer. */
      readonly counts: TokenCounts;
      /** Who made it, in order, at the price each had: their counts add up to `counts`. */
      readonly shares: readonly PaidShare[];
      /**
       * Its hub was lost and a worker brought the receipt back: it waits until nobody else can be
       * working on the task any more.
       */
      readonly isRecovered: boolean;
    }
  | { readonly kind: "void" }
);
