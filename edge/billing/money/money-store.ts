import { z } from "zod";
import { type Asset, assets, type Bucket, buckets } from "../../../shared/assets.ts";
import type { AccountState, Mint } from "../account-state.ts";
import type { Micros } from "../../../shared/money.ts";
import { bucketOf, changeBucket } from "./buckets.ts";
import type { Pending } from "./pending-money.ts";

/**
 * What the account's SQLite knows of money besides its credit: other assets and buckets, lots of
 * earnings, mints, moves and pendings. The last three are remembered for ever, because the ledger
 * takes a transfer id once and whoever chose an id may repeat it at any time.
 */
export class MoneyStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(`
      CREATE TABLE IF NOT EXISTS buckets (
        asset TEXT NOT NULL, bucket TEXT NOT NULL, micros INTEGER NOT NULL,
        PRIMARY KEY (asset, bucket)) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS lots (until_ms INTEGER PRIMARY KEY, micros INTEGER NOT NULL);
      CREATE TABLE IF NOT EXISTS mints (
        id TEXT PRIMARY KEY, micros INTEGER NOT NULL) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS moves (id TEXT PRIMARY KEY, fingerprint TEXT NOT NULL);
      CREATE TABLE IF NOT EXISTS pendings (
        id TEXT PRIMARY KEY, kind TEXT NOT NULL, reason TEXT, asset TEXT NOT NULL,
        micros INTEGER NOT NULL, bucket TEXT NOT NULL, credit TEXT NOT NULL, expires_ms INTEGER,
        state TEXT NOT NULL, posted INTEGER NOT NULL);
      CREATE INDEX IF NOT EXISTS pendings_by_expiry ON pendings (expires_ms)
        WHERE state = 'pending' AND expires_ms IS NOT NULL;
    `);
  }

  /** Adds what is stored here to a state that was read from the account's own row. */
  loadInto(state: AccountState): void {
    for (const row of this.#sql.exec("SELECT * FROM buckets")) {
      const { asset, bucket, micros } = bucketRow.parse(row);
      changeBucket(state, asset, bucket, BigInt(micros));
    }
    let inLots = 0n;
    for (const row of this.#sql.exec("SELECT * FROM lots")) {
      const { until_ms, micros } = lotRow.parse(row);
      state.lots.set(until_ms, BigInt(micros));
      inLots += BigInt(micros);
    }
    // What was earned before there were lots has no window: it is due.
    if (inLots < state.earned) state.lots.set(0, state.earned - inLots);
  }

  saveBuckets(
    state: AccountState,
    places: Iterable<{ readonly asset: Asset; readonly bucket: Bucket }>,
  ): void {
    for (const { asset, bucket } of places) {
      const micros = Number(bucketOf(state, asset, bucket));
      this.#sql.exec("INSERT OR REPLACE INTO buckets VALUES (?, ?, ?)", asset, bucket, micros);
    }
  }

  /** Forgets all that there is, but for what is in the account's own row. */
  clearBalances(): void {
    this.#sql.exec("DELETE FROM buckets");
    this.#sql.exec("DELETE FROM lots");
  }

  /** Stores lots as the state has them, and forgets those it has no more. */
  saveLots(state: AccountState, lots: Iterable<number>): void {
    for (const untilMs of new Set(lots)) {
      const micros = state.lots.get(untilMs);
      if (micros === undefined) this.#sql.exec("DELETE FROM lots WHERE until_ms = ?", untilMs);
      else this.#sql.exec("INSERT OR REPLACE INTO lots VALUES (?, ?)", untilMs, Number(micros));
    }
  }

  /** The micros that were given under this id, or null where none were. */
  mintedMicros(id: string): Micros | null {
    const row = this.#sql.exec("SELECT micros FROM mints WHERE id = ?", id).toArray()[0];
    return row === undefined ? null : BigInt(z.object({ micros: z.int() }).parse(row).micros);
  }

  saveMint({ id, micros }: Mint): void {
    this.#sql.exec("INSERT INTO mints VALUES (?, ?)", id, Number(micros));
  }

  /** What was moved under this id, as its fingerprint; null where nothing was. */
  moveOf(id: string): string | null {
    const row = this.#sql.exec("SELECT fingerprint FROM moves WHERE id = ?", id).toArray()[0];
    return row === undefined ? null : z.object({ fingerprint: z.string() }).parse(row).fingerprint;
  }

  saveMove(id: string, fingerprint: string): void {
    this.#sql.exec("INSERT INTO moves VALUES (?, ?)", id, fingerprint);
  }

  pending(id: string): Pending | null {
    const row = this.#sql.exec("SELECT * FROM pendings WHERE id = ?", id).toArray()[0];
    return row === undefined ? null : readPending(row);
  }

  savePending(pending: Pending): void {
    this.#sql.exec(
      "INSERT OR REPLACE INTO pendings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      pending.id,
      pending.kind,
      pending.reason,
      pending.asset,
      Number(pending.micros),
      pending.from,
      pending.credit,
      pending.expiresMs,
      pending.state,
      Number(pending.posted),
    );
  }

  /** What is still pending and has expired. */
  expiredPendings(nowMs: number): Pending[] {
    const rows = this.#sql.exec(
      `SELECT * FROM pendings WHERE state = 'pending' AND expires_ms IS NOT NULL
         AND expires_ms <= ? ORDER BY expires_ms`,
      nowMs,
    );
    return rows.toArray().map(readPending);
  }

  /** When the next pending expires, or null. */
  nextExpiryMs(): number | null {
    const row = this.#sql
      .exec(
        `SELECT min(expires_ms) AS ms FROM pendings
           WHERE state = 'pending' AND expires_ms IS NOT NULL`,
      )
      .one();
    return z.object({ ms: z.int().nullable() }).parse(row).ms;
  }
}

const bucketRow = z.object({
  asset: z.enum(assets),
  bucket: z.enum(buckets),
  micros: z.int(),
});
const lotRow = z.object({ until_ms: z.int(), micros: z.int() });
const pendingRow = z.object({
  id: z.string(),
  kind: z.string(),
  reason: z.string().nullable(),
  asset: z.enum(assets),
  micros: z.int(),
  bucket: z.enum(buckets),
  credit: z.string(),
  expires_ms: z.int().nullable(),
  state: z.enum(["pending", "posted", "void", "expired"]),
  posted: z.int(),
});

function readPending(row: unknown): Pending {
  const { micros, posted, bucket: from, expires_ms: expiresMs, ...rest } = pendingRow.parse(row);
  return { ...rest, micros: BigInt(micros), posted: BigInt(posted), from, expiresMs };
}
