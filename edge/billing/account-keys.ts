import { z } from "zod";
import { describeError } from "../../shared/log.ts";
import { databaseOf } from "../database.ts";
import { recordKeyUses } from "../db/people/api-keys.ts";
import type { Env } from "../env.ts";
import { Later } from "../later.ts";
import { edgeLog } from "../log.ts";
import type { HoldAnswer } from "./account-answers.ts";
import type { Books } from "./books.ts";
import type { Leasing } from "./leases/leasing.ts";
import { isLimited, type KeySettings } from "./limits/limit-chain.ts";
import { changeKey } from "./limits/limiting.ts";

/**
 * What an Account knows of its keys beside which are revoked: an isolate's memory of a key may be a
 * minute old, and asks here whether that is still good.
 * K1. A key that was ended begins nothing once the call that ended it has returned: neither of a
 *     hold nor of a lease nor of any other route.
 * K2. Changes are counted. Settings that were read before the last one decide nothing after the
 *     call that changed them has returned: whoever comes with them is told the count, and reads the
 *     registry, which was changed first. Keys that never changed count none, and cost no reading.
 * K3. A use is written to the registry once a minute at most, the keys of an account together. What
 *     is lost with the object is a last use, and nothing else.
 */
export type KeyAnswer =
  | { readonly kind: "current" }
  /** Revoked, expired or unknown, or its account is suspended. */
  | { readonly kind: "ended" }
  /** Settings that are of fewer changes are old. */
  | { readonly kind: "changed"; readonly changes: number };

interface KeyTerms {
  readonly expiresMs: number | null;
  readonly changes: number;
}

const minuteMs = 60_000;
/** Uses of several keys are written together; a timer of this length keeps no object awake. */
const gatherMs = 2_000;

/** What the keys need of their Account. */
interface Parts {
  readonly env: Env;
  readonly books: Books;
  readonly leasing: Leasing;
}

export class AccountKeys {
  readonly #sql: SqlStorage;
  readonly #parts: Parts;
  readonly #terms = new Map<string, KeyTerms>();
  /** The minute of each key's last use that the registry has, and of those that it has not. */
  readonly #written = new Map<string, number>();
  readonly #unwritten = new Map<string, number>();
  readonly #later = new Later(() => this.#writeUses());

  constructor(sql: SqlStorage, parts: Parts) {
    this.#sql = sql;
    this.#parts = parts;
    sql.exec(`CREATE TABLE IF NOT EXISTS key_terms (
      key_id TEXT PRIMARY KEY, expires_ms INTEGER, changes INTEGER NOT NULL)`);
    for (const row of sql.exec("SELECT * FROM key_terms")) {
      const { key_id: id, expires_ms: expiresMs, changes } = termsRow.parse(row);
      this.#terms.set(id, { expiresMs, changes });
    }
  }

  /** Makes a key known, or revokes it (K1); returns once its limits are obeyed (G6). */
  async set(keyId: string, status: "active" | "revoked", settings?: KeySettings): Promise<void> {
    const { books, leasing } = this.#parts;
    const { opened: state, store } = books;
    if (settings !== undefined) changeKey(state, store, keyId, settings);
    state.keys.set(keyId, status);
    store.saveKey(keyId, status);
    if (status === "revoked" || isLimited(state.limits, keyId)) await leasing.over(keyId);
  }

  /** A key has other settings from now on (K2), and ends when they say (K1). */
  async change(keyId: string, expiresMs: number | null, settings?: KeySettings): Promise<void> {
    const { books } = this.#parts;
    if (settings !== undefined) changeKey(books.opened, books.store, keyId, settings);
    const changes = this.changesOf(keyId) + 1;
    const sql = "INSERT OR REPLACE INTO key_terms VALUES (?, ?, ?)";
    this.#sql.exec(sql, keyId, expiresMs, changes);
    this.#terms.set(keyId, { expiresMs, changes });
    await this.#parts.leasing.over(keyId);
  }

  changesOf(keyId: string): number {
    return this.#terms.get(keyId)?.changes ?? 0;
  }

  /** Whether a key may be used by settings of so many changes; notes the use where it may (K3). */
  use(keyId: string, changes: number): KeyAnswer {
    const { state } = this.#parts.books;
    if (state?.keys.get(keyId) !== "active" || state.status !== "active") return { kind: "ended" };
    const nowMs = Date.now();
    const terms = this.#terms.get(keyId);
    if (terms !== undefined) {
      if (terms.changes > changes) return { kind: "changed", changes: terms.changes };
      if (terms.expiresMs !== null && terms.expiresMs <= nowMs) return { kind: "ended" };
    }
    this.#note(keyId, nowMs - (nowMs % minuteMs));
    return { kind: "current" };
  }

  /** Why nothing is set aside for a key, if so; a suspended account says that itself. */
  refuse(keyId: string, changes: number): Exclude<HoldAnswer, { kind: "held" }> | null {
    if (this.#parts.books.state?.status === "suspended") return null;
    const answer = this.use(keyId, changes);
    if (answer.kind === "current") return null;
    if (answer.kind === "changed") return answer;
    const reason = "the API key is unknown, revoked or expired";
    return { kind: "refused", code: "invalid_api_key", reason };
  }

  #note(keyId: string, minute: number): void {
    if (this.#written.get(keyId) === minute) return;
    this.#unwritten.set(keyId, minute);
    this.#later.arm(gatherMs);
  }

  async #writeUses(): Promise<void> {
    const { env, books } = this.#parts;
    const accountId = books.state?.accountId;
    if (accountId === undefined) return;
    const uses = new Map(this.#unwritten);
    this.#unwritten.clear();
    for (const [id, minute] of uses) this.#written.set(id, minute);
    try {
      await using db = databaseOf(env);
      await recordKeyUses(db, accountId, uses);
    } catch (error) {
      // The next use of each key tells it again.
      for (const id of uses.keys()) this.#written.delete(id);
      edgeLog("warn", "uses of keys not recorded", { error: describeError(error) });
    }
  }
}

const termsRow = z.object({
  key_id: z.string(),
  expires_ms: z.int().nullable(),
  changes: z.int(),
});
