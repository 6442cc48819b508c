import { z } from "zod";
import { assets, buckets } from "../../../shared/assets.ts";
import type { Incoming } from "../money/move-money.ts";

/** An account that could not be told what it is given. */
export interface Debt {
  readonly accountId: string;
  /** Since when it has taken nothing. */
  readonly sinceMs: number;
  /** How often it was told in vain since then. */
  readonly tries: number;
}

/**
 * What other accounts are owed and could not be told yet; the rules are in debts.ts. A few rows for
 * each of them, however long it is not reached.
 */
export class DebtStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(`
      CREATE TABLE IF NOT EXISTS debts (
        account_id TEXT PRIMARY KEY, since_ms INTEGER NOT NULL, tries INTEGER NOT NULL,
        next_ms INTEGER NOT NULL);
      CREATE TABLE IF NOT EXISTS debts_told (
        account_id TEXT NOT NULL, seq INTEGER NOT NULL, asset TEXT NOT NULL, bucket TEXT NOT NULL,
        micros INTEGER NOT NULL, PRIMARY KEY (account_id, seq, asset, bucket)) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS debts_untold (
        account_id TEXT NOT NULL, asset TEXT NOT NULL, bucket TEXT NOT NULL, seq INTEGER NOT NULL,
        micros INTEGER NOT NULL, PRIMARY KEY (account_id, asset, bucket)) WITHOUT ROWID;
    `);
  }

  /** Those who are owed anything. */
  list(limit = -1): readonly Debt[] {
    const rows = this.#sql.exec("SELECT * FROM debts ORDER BY since_ms LIMIT ?", limit);
    return rows.toArray().map(readDebt);
  }

  find(accountId: string): Debt | null {
    const rows = this.#sql.exec("SELECT * FROM debts WHERE account_id = ?", accountId).toArray();
    return rows[0] === undefined ? null : readDebt(rows[0]);
  }

  /** When somebody is to be told again, or null. */
  nextMs(): number | null {
    const row = this.#sql.exec("SELECT min(next_ms) AS ms FROM debts").one();
    return z.object({ ms: z.int().nullable() }).parse(row).ms;
  }

  due(nowMs: number, limit: number): readonly Debt[] {
    const sql = "SELECT * FROM debts WHERE next_ms <= ? ORDER BY next_ms LIMIT ?";
    return this.#sql.exec(sql, nowMs, limit).toArray().map(readDebt);
  }

  saveDebt({ accountId, sinceMs, tries }: Debt, nextMs: number): void {
    const sql = "INSERT OR REPLACE INTO debts VALUES (?, ?, ?, ?)";
    this.#sql.exec(sql, accountId, sinceMs, tries, nextMs);
  }

  removeDebt(accountId: string): void {
    this.#sql.exec("DELETE FROM debts WHERE account_id = ?", accountId);
  }

  /** Rows that may have been taken: they keep their numbers. */
  addTold(accountId: string, rows: readonly Incoming[]): void {
    for (const { seq, micros, asset = "CREDIT", bucket = "earned" } of rows) {
      this.#sql.exec(
        `INSERT INTO debts_told VALUES (?, ?, ?, ?, ?)
           ON CONFLICT DO UPDATE SET micros = micros + excluded.micros`,
        accountId,
        seq,
        asset,
        bucket,
        Number(micros),
      );
    }
  }

  /** Rows that nobody was told: of each asset and bucket one sum, under the last number. */
  addUntold(accountId: string, rows: readonly Incoming[]): void {
    for (const { seq, micros, asset = "CREDIT", bucket = "earned" } of rows) {
      this.#sql.exec(
        `INSERT INTO debts_untold VALUES (?, ?, ?, ?, ?)
           ON CONFLICT DO UPDATE SET micros = micros + excluded.micros, seq = excluded.seq`,
        accountId,
        asset,
        bucket,
        seq,
        Number(micros),
      );
    }
  }

  told(accountId: string): readonly Incoming[] {
    const sql = "SELECT * FROM debts_told WHERE account_id = ? ORDER BY seq";
    return this.#sql.exec(sql, accountId).toArray().map(readRow);
  }

  clearTold(accountId: string): void {
    this.#sql.exec("DELETE FROM debts_told WHERE account_id = ?", accountId);
  }

  /** What nobody was told is about to be. */
  tellUntold(accountId: string): void {
    this.#sql.exec(
      `INSERT INTO debts_told SELECT account_id, seq, asset, bucket, micros
         FROM debts_untold WHERE account_id = ?`,
      accountId,
    );
    this.#sql.exec("DELETE FROM debts_untold WHERE account_id = ?", accountId);
  }
}

const debtRow = z.object({ account_id: z.string(), since_ms: z.int(), tries: z.int() });
const row = z.object({
  seq: z.int(),
  asset: z.enum(assets),
  bucket: z.enum(buckets),
  micros: z.int(),
});

function readDebt(stored: unknown): Debt {
  const { account_id: accountId, since_ms: sinceMs, tries } = debtRow.parse(stored);
  return { accountId, sinceMs, tries };
}

function readRow(stored: unknown): Incoming {
  const { micros, ...rest } = row.parse(stored);
  return { ...rest, micros: BigInt(micros) };
}
