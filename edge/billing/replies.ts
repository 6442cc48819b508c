import type { KeyAnswer } from "./account-keys.ts";
import type { AccountStore } from "./account-store.ts";

/**
 * A claim that its request never ended (its isolate died) is void after this: longer than any
 * answer may take.
 */
const claimMs = 40 * 60_000;

export type ReplyClaim =
  /** Nobody has used this key: do the work, then `finish`. */
  | { readonly kind: "claimed" }
  /** The same request was answered: say the same again. */
  | { readonly kind: "answered"; readonly reply: string }
  /** The same request is being worked on. */
  | { readonly kind: "running" }
  /** The key was used with another body. */
  | { readonly kind: "mismatch" }
  /** The same request was answered, but not to an API key as it is now. */
  | Exclude<KeyAnswer, { readonly kind: "current" }>;

/** The API key that asks, by settings of so many changes. */
export interface Asker {
  readonly keyId: string;
  readonly changes: number;
}

/**
 * Which idempotency keys of one account are in use, and what was answered. Running claims live in
 * memory. A reply is repeated only to an API key that may be used now (K1, K2); whatever runs anew
 * is asked the same at its hold.
 */
export class Replies {
  readonly #store: AccountStore;
  readonly #use: (by: Asker) => KeyAnswer;
  readonly #running = new Map<string, { readonly requestHash: string; readonly sinceMs: number }>();

  constructor(store: AccountStore, use: (by: Asker) => KeyAnswer) {
    this.#store = store;
    this.#use = use;
  }

  /** Somebody is at work under one of the keys. */
  get isRunning(): boolean {
    return this.#running.size > 0;
  }

  claim(
    key: string,
    { requestHash, by }: { readonly requestHash: string; readonly by: Asker },
    nowMs: number,
  ): ReplyClaim {
    const running = this.#running.get(key);
    if (running !== undefined && nowMs - running.sinceMs < claimMs) {
      return running.requestHash === requestHash ? { kind: "running" } : { kind: "mismatch" };
    }
    const stored = this.#store.reply(key);
    if (stored?.reply !== undefined && stored.reply !== null) {
      if (stored.requestHash !== requestHash) return { kind: "mismatch" };
      const answer = this.#use(by);
      return answer.kind === "current" ? { kind: "answered", reply: stored.reply } : answer;
    }
    this.#running.set(key, { requestHash, sinceMs: nowMs });
    return { kind: "claimed" };
  }

  finish(key: string, requestHash: string, reply: string | null, nowMs: number): void {
    const running = this.#running.get(key);
    if (running !== undefined && running.requestHash !== requestHash) return;
    this.#running.delete(key);
    // Its claim may be forgotten, being memory: what was paid for is kept all the same.
    if (reply !== null) this.#store.saveReply(key, requestHash, reply, nowMs);
  }
}
