import { z } from "zod";
import { addLease, type Lease } from "./leases/account-leases.ts";
import { type AccountState, createAccountState, standings } from "./account-state.ts";
import { restoreLimits } from "./limits/limits-state.ts";
import { LimitsStore } from "./limits/limits-store.ts";

/**
 * The account's own SQLite: what memory is rebuilt from. Amounts stay below 2^53, which SQL values
 * carry exactly.
 */
export class AccountStore {
  readonly #sql: SqlStorage;
  readonly limits: LimitsStore;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    this.limits = new LimitsStore(sql);
    sql.exec(`
      CREATE TABLE IF NOT EXISTS account (
        id INTEGER PRIMARY KEY CHECK (id = 1), account_id TEXT NOT NULL, status TEXT NOT NULL,
        balance INTEGER NOT NULL, earned INTEGER NOT NULL, concurrency_max INTEGER NOT NULL);
      CREATE TABLE IF NOT EXISTS keys (key_id TEXT PRIMARY KEY, status TEXT NOT NULL);
      CREATE TABLE IF NOT EXISTS resolutions (
        task_id TEXT PRIMARY KEY, kind TEXT NOT NULL, micros INTEGER NOT NULL,
        at_ms INTEGER NOT NULL);
      CREATE INDEX IF NOT EXISTS resolutions_by_time ON resolutions (at_ms);
      CREATE TABLE IF NOT EXISTS outbox (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, payload TEXT NOT NULL);
      CREATE TABLE IF NOT EXISTS earnings (source TEXT PRIMARY KEY, seq INTEGER NOT NULL);
      CREATE TABLE IF NOT EXISTS replies (
        key TEXT PRIMARY KEY, request_hash TEXT NOT NULL, reply TEXT, at_ms INTEGER NOT NULL);
      CREATE TABLE IF NOT EXISTS leases (
        id TEXT PRIMARY KEY, key_id TEXT NOT NULL, limit_micros INTEGER NOT NULL,
        tasks_max INTEGER NOT NULL, until_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,
        issued_micros INTEGER, issued_tasks INTEGER, closed_micros INTEGER NOT NULL,
        closed_tasks INTEGER NOT NULL);
    `);
    this.#addJournal();
    this.#addStanding();
  }

  /** Accounts of before there were journals begin one. */
  #addJournal(): void {
    const columns = this.#sql.exec("SELECT name FROM pragma_table_info('account')").toArray();
    if (columns.some(({ name }) => name === "journal_seq")) return;
    this.#sql.exec(`
      ALTER TABLE account ADD COLUMN journal_seq INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE account ADD COLUMN journal_hash TEXT NOT NULL DEFAULT '';
    `);
  }

  #addStanding(): void {
    const columns = this.#sql.exec("SELECT name FROM pragma_table_info('account')").toArray();
    if (columns.some(({ name }) => name === "standing")) return;
    this.#sql.exec("ALTER TABLE account ADD COLUMN standing TEXT NOT NULL DEFAULT 'open'");
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
    for (const row of this.#sql.exec("SELECT * FROM leases")) addLease(state, readLease(row));
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

  /** Stores leases as the state has them, and forgets those it has no more. */
  saveLeases(state: AccountState, ids: Iterable<string>): void {
    for (const id of new Set(ids)) {
      const lease = state.leases.get(id);
      if (lease === undefined) {
        this.#sql.exec("DELETE FROM leases WHERE id = ?", id);
        continue;
      }
      this.#sql.exec(
        "INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        lease.id,
        lease.keyId,
        Number(lease.limit),
        lease.tasksMax,
        lease.untilMs,
        lease.expiresMs,
        lease.issued === null ? null : Number(lease.issued.micros),
        lease.issued?.tasks ?? null,
        Number(lease.closedMicros),
        lease.closedTasks,
      );
    }
  }

  saveKey(keyId: string, status: "active" | "revoked"): void {
    this.#sql.exec("INSERT OR REPLACE INTO keys VALUES (?, ?)", keyId, status);
  }

  /** Which of these ids were resolved already; one statement, however many there are. */
  resolvedAmong(ids: readonly string[]): Set<string> {
    const rows = this.#sql.exec<{ task_id: string }>(
      "SELECT task_id FROM resolutions WHERE task_id IN (SELECT value FROM json_each(?))",
      JSON.stringify(ids),
    );
    return new Set(rows.toArray().map((row) => row.task_id));
  }

  /** The micros that moved under this id, or null where nothing did. */
  resolvedMicros(id: string): bigint | null {
    const rows = this.#sql.exec("SELECT micros FROM resolutions WHERE task_id = ?", id).toArray();
    return rows[0] === undefined
      ? null
      : BigInt(z.object({ micros: z.int() }).parse(rows[0]).micros);
  }

  saveResolutions(
    rows: readonly { readonly id: string; readonly kind: string; readonly micros: bigint }[],
    nowMs: number,
  ): void {
    const json = rows.map(({ id, kind, micros }) => [id, kind, Number(micros)]);
    this.#sql.exec(
      `INSERT INTO resolutions
         SELECT value ->> 0, value ->> 1, value ->> 2, ? FROM json_each(?)`,
      nowMs,
      JSON.stringify(json),
    );
  }

  /** The same for what may be known already. */
  addResolutions(
    rows: readonly { readonly id: string; readonly kind: string; readonly micros: bigint }[],
    nowMs: number,
  ): void {
    const known = this.resolvedAmong(rows.map(({ id }) => id));
    this.saveResolutions(
      rows.filter(({ id }) => !known.has(id)),
      nowMs,
    );
  }

  /**
   * Resolutions are needed while a receipt of the task may still turn up; those of credit given for
   * ever, because the ledger takes a transfer id once and an operator may repeat one at any time.
   */
  forgetBefore(ms: number): void {
    this.#sql.exec("DELETE FROM resolutions WHERE at_ms < ? AND kind <> 'mint'", ms);
    this.#sql.exec("DELETE FROM replies WHERE at_ms < ?", ms);
    this.#sql.exec("DELETE FROM leases WHERE expires_ms < ?", ms);
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
    this.#sql.exec("INSERT OR REPLACE INTO earnings VALUES (?, ?)", source, seq);
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
const leaseRow = z.object({
  id: z.string(),
  key_id: z.string(),
  limit_micros: z.int(),
  tasks_max: z.int(),
  until_ms: z.int(),
  expires_ms: z.int(),
  issued_micros: z.int().nullable(),
  issued_tasks: z.int().nullable(),
  closed_micros: z.int(),
  closed_tasks: z.int(),
});
const earningsRow = z.object({ source: z.string(), seq: z.int() });
const outboxRow = z.object({ seq: z.int(), payload: z.string() });
const replyRow = z.object({ request_hash: z.string(), reply: z.string().nullable() });

function readLease(row: unknown): Lease {
  const stored = leaseRow.parse(row);
  const { issued_micros: micros, issued_tasks: tasks } = stored;
  return {
    id: stored.id,
    keyId: stored.key_id,
    limit: BigInt(stored.limit_micros),
    tasksMax: stored.tasks_max,
    untilMs: stored.until_ms,
    expiresMs: stored.expires_ms,
    issued: micros === null || tasks === null ? null : { micros: BigInt(micros), tasks },
    closedMicros: BigInt(stored.closed_micros),
    closedTasks: stored.closed_tasks,
  };
}
