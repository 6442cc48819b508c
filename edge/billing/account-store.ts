import { z } from "zod";
import { type AccountState, createAccountState } from "./account-state.ts";
import { standings } from "./standing.ts";
import { restoreLimits } from "./limits/limits-state.ts";
import { LimitsStore } from "./limits/limits-store.ts";
import { ResolvedTasks } from "./resolved-tasks.ts";

/**
 * The account's own SQLite: what memory is rebuilt from. Amounts stay below 2^53, which SQL values
 * carry exactly.
 */
export class AccountStore {
  readonly #sql: SqlStorage;
  readonly limits: LimitsStore;
  readonly resolved: ResolvedTasks;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    this.limits = new LimitsStore(sql);
    this.resolved = new ResolvedTasks(sql);
    sql.exec(`
      CREATE TABLE IF NOT EXISTS account (
        id INTEGER PRIMARY KEY CHECK (id = 1), account_id TEXT NOT NULL, status TEXT NOT NULL,
        balance INTEGER NOT NULL, earned INTEGER NOT NULL, concurrency_max INTEGER NOT NULL,
        journal_seq INTEGER NOT NULL DEFAULT 0, journal_hash TEXT NOT NULL DEFAULT '',
        standing TEXT NOT NULL DEFAULT 'open');
      CREATE TABLE IF NOT EXISTS keys (key_id TEXT PRIMARY KEY, status TEXT NOT NULL);
      CREATE TABLE IF NOT EXISTS outbox (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, payload TEXT NOT NULL);
      CREATE TABLE IF NOT EXISTS earnings (source TEXT PRIMARY KEY, seq INTEGER NOT NULL);
      CREATE TABLE IF NOT EXISTS replies (
        key TEXT PRIMARY KEY, request_hash TEXT NOT NULL, reply TEXT, at_ms INTEGER NOT NULL);
      CREATE TABLE IF NOT EXISTS leased (
        id INTEGER PRIMARY KEY CHECK (id = 1), until_ms INTEGER NOT NULL);
    `);
  }

  /** The state as stored, or null for an account that was never opened. */
  load(): AccountState | null {
    const row = this.#sql.exec("SELECT * FROM account").toArray()[0];
    if (row === undefined) return null;
    const account = accountRow.parse(row);
    const state = createAccountState(account.account_id);
    state.status = account.status;
    state.standing = account.standing;
    state.available = BigInt(account.balance);
    state.earned = BigInt(account.earned);
    state.journal = { seq: account.journal_seq, hash: account.journal_hash };
    state.concurrencyMax = account.concurrency_max;
    for (const key of this.#sql.exec("SELECT * FROM keys")) {
      const { key_id, status } = keyRow.parse(key);
      state.keys.set(key_id, status);
    }
    restoreLimits(state.limits, this.limits.load());
    return state;
  }

  save(state: AccountState): void {
    this.#sql.exec(
      `INSERT INTO account (id, account_id, status, balance, earned, concurrency_max,
           journal_seq, journal_hash, standing)
         VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
         status = excluded.status, balance = excluded.balance, earned = excluded.earned,
         concurrency_max = excluded.concurrency_max, journal_seq = excluded.journal_seq,
         journal_hash = excluded.journal_hash, standing = excluded.standing`,
      state.accountId,
      state.status,
      Number(state.available),
      Number(state.earned),
      state.concurrencyMax,
      state.journal.seq,
      state.journal.hash,
      state.standing,
    );
  }

  /** Until when there may be leases, those of the object before this one included; 0 for never. */
  leasedUntilMs(): number {
    const row = this.#sql.exec("SELECT until_ms FROM leased").toArray()[0];
    return row === undefined ? 0 : z.object({ until_ms: z.int() }).parse(row).until_ms;
  }

  saveLeasedUntil(ms: number): void {
    this.#sql.exec("INSERT OR REPLACE INTO leased VALUES (1, ?)", ms);
  }

  saveKey(keyId: string, status: "active" | "revoked"): void {
    this.#sql.exec("INSERT OR REPLACE INTO keys VALUES (?, ?)", keyId, status);
  }

  /** Replies are repeated for as long as their tasks may be closed. */
  forgetRepliesBefore(ms: number): void {
    this.#sql.exec("DELETE FROM replies WHERE at_ms < ?", ms);
  }

  appendOutbox(payload: string): void {
    this.#sql.exec("INSERT INTO outbox (payload) VALUES (?)", payload);
  }

  /** The oldest rows of the outbox, in order. */
  readOutbox(limit: number): { readonly seq: number; readonly payload: string }[] {
    const rows = this.#sql.exec("SELECT seq, payload FROM outbox ORDER BY seq LIMIT ?", limit);
    return rows.toArray().map((row) => outboxRow.parse(row));
  }

  /** What `find` gives of the first row, in order, of which it gives anything. */
  firstInOutbox<T>(find: (payload: string) => T | undefined): T | null {
    for (const row of this.#sql.exec("SELECT seq, payload FROM outbox ORDER BY seq")) {
      const found = find(outboxRow.parse(row).payload);
      if (found !== undefined) return found;
    }
    return null;
  }

  /** The number of the last row that was ever in the outbox. */
  lastOutboxSeq(): number {
    const row = this.#sql
      .exec("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'")
      .toArray()[0];
    return row === undefined ? 0 : z.object({ seq: z.int() }).parse(row).seq;
  }

  /** Appends under a number that is behind every one before it; the next ones go on from there. */
  appendOutboxAs(seq: number, payload: string): void {
    this.#sql.exec("INSERT INTO outbox (seq, payload) VALUES (?, ?)", seq, payload);
  }

  isOutboxEmpty(): boolean {
    return this.#sql.exec("SELECT 1 FROM outbox LIMIT 1").toArray().length === 0;
  }

  clearOutbox(throughSeq: number): void {
    this.#sql.exec("DELETE FROM outbox WHERE seq <= ?", throughSeq);
  }

  /** The last outbox row of `source` whose earnings were applied here. */
  earningsSeq(source: string): number {
    const row = this.#sql.exec("SELECT seq FROM earnings WHERE source = ?", source).toArray()[0];
    return row === undefined ? 0 : z.object({ seq: z.int() }).parse(row).seq;
  }

  /** Whose rows were applied, and up to which. */
  earningsSeqs(): ReadonlyMap<string, number> {
    const rows = this.#sql.exec("SELECT source, seq FROM earnings").toArray();
    return new Map(
      rows.map((row) => earningsRow.parse(row)).map(({ source, seq }) => [source, seq]),
    );
  }

  saveEarningsSeq(source: string, seq: number): void {
    // Replacing would count the row and its index as written, each time.
    this.#sql.exec(
      "INSERT INTO earnings VALUES (?, ?) ON CONFLICT (source) DO UPDATE SET seq = excluded.seq",
      source,
      seq,
    );
  }

  reply(key: string): { readonly requestHash: string; readonly reply: string | null } | null {
    const row = this.#sql.exec("SELECT * FROM replies WHERE key = ?", key).toArray()[0];
    if (row === undefined) return null;
    const parsed = replyRow.parse(row);
    return { requestHash: parsed.request_hash, reply: parsed.reply };
  }

  saveReply(key: string, requestHash: string, reply: string, nowMs: number): void {
    this.#sql.exec(
      "INSERT OR REPLACE INTO replies VALUES (?, ?, ?, ?)",
      key,
      requestHash,
      reply,
      nowMs,
    );
  }
}

const accountRow = z.object({
  account_id: z.string(),
  status: z.enum(["active", "suspended"]),
  balance: z.int(),
  earned: z.int(),
  concurrency_max: z.int(),
  journal_seq: z.int(),
  journal_hash: z.string(),
  standing: z.enum(standings),
});
const keyRow = z.object({ key_id: z.string(), status: z.enum(["active", "revoked"]) });
const earningsRow = z.object({ source: z.string(), seq: z.int() });
const outboxRow = z.object({ seq: z.int(), payload: z.string() });
const replyRow = z.object({ request_hash: z.string(), reply: z.string().nullable() });
