import { z } from "zod";
import { hardwareSchema, listingSchema } from "../../../shared/protocol/listing.ts";
import { regions } from "../../../shared/regions.ts";
import type { SessionRecord } from "../hub-state.ts";
import { vettingSchema } from "../vetting/vetting.ts";
import { lastingMemory, type WorkerMemory, workerMemorySchema } from "./worker-memory.ts";

/** What is kept of a proven session, so that a hub that slept or died knows whom it had. */
export type StoredSession = Omit<SessionRecord, "memory"> & {
  readonly agent: string;
  /** The slots of all its listings: what it may be offered when it wakes up idle. */
  readonly slots: number;
};

const storedSessionSchema = z.object({
  id: z.string(),
  workerId: z.string(),
  accountId: z.string(),
  region: z.enum(regions),
  roundTripMs: z.number().nullable(),
  version: z.int(),
  epoch: z.int(),
  listings: z.array(listingSchema),
  vetting: vettingSchema,
  hardware: hardwareSchema.nullable(),
  revision: z.int(),
  credits: z.int(),
  draining: z.boolean(),
  agent: z.string(),
  slots: z.int(),
}) satisfies z.ZodType<StoredSession>;

/** The hub's own SQLite. */
export class SessionStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec("CREATE TABLE IF NOT EXISTS sessions (id TEXT PRIMARY KEY, session TEXT NOT NULL)");
    sql.exec(`CREATE TABLE IF NOT EXISTS departures (
      worker_id TEXT PRIMARY KEY, epoch INTEGER NOT NULL, at_ms INTEGER NOT NULL)`);
    sql.exec(`CREATE TABLE IF NOT EXISTS memories (
      worker_id TEXT PRIMARY KEY, memory TEXT NOT NULL, at_ms INTEGER NOT NULL)`);
  }

  save(session: StoredSession): void {
    const json = JSON.stringify(session);
    this.#sql.exec("INSERT OR REPLACE INTO sessions VALUES (?, ?)", session.id, json);
  }

  /**
   * All stored sessions; one that no longer has its form is from an older build, and its worker
   * will be back.
   */
  all(): StoredSession[] {
    const rows = this.#sql.exec<{ session: string }>("SELECT session FROM sessions").toArray();
    return rows.flatMap((row) => {
      const parsed = storedSessionSchema.safeParse(JSON.parse(row.session));
      return parsed.success ? [parsed.data] : [];
    });
  }

  /** Keeps what is known of a worker, for when it comes back. */
  remember(workerId: string, memory: WorkerMemory, nowMs: number): void {
    const json = JSON.stringify(lastingMemory(memory));
    this.#sql.exec("INSERT OR REPLACE INTO memories VALUES (?, ?, ?)", workerId, json, nowMs);
  }

  /** Null for a worker nothing is known of; what has lost its form is from an older build. */
  memoryOf(workerId: string): WorkerMemory | null {
    const [row] = this.#sql
      .exec<{ memory: string }>("SELECT memory FROM memories WHERE worker_id = ?", workerId)
      .toArray();
    const parsed = workerMemorySchema.safeParse(JSON.parse(row?.memory ?? "null"));
    return parsed.success ? parsed.data : null;
  }

  /** Forgets workers that nothing was learnt of since. */
  forgetBefore(atMs: number): void {
    this.#sql.exec("DELETE FROM memories WHERE at_ms < ?", atMs);
  }

  remove(sessionId: string): void {
    this.#sql.exec("DELETE FROM sessions WHERE id = ?", sessionId);
  }

  /** Notes that a worker left, until the registry has heard of it. */
  addDeparture(departure: Departure): void {
    const { workerId, epoch, atMs } = departure;
    this.#sql.exec(
      `INSERT INTO departures VALUES (?, ?, ?) ON CONFLICT (worker_id) DO UPDATE
         SET epoch = excluded.epoch, at_ms = excluded.at_ms WHERE excluded.epoch >= epoch`,
      workerId,
      epoch,
      atMs,
    );
  }

  departures(): Departure[] {
    return this.#sql
      .exec<{ worker_id: string; epoch: number; at_ms: number }>("SELECT * FROM departures")
      .toArray()
      .map((row) => ({ workerId: row.worker_id, epoch: row.epoch, atMs: row.at_ms }));
  }

  removeDeparture({ workerId, epoch }: Departure): void {
    this.#sql.exec("DELETE FROM departures WHERE worker_id = ? AND epoch = ?", workerId, epoch);
  }
}

export interface Departure {
  readonly workerId: string;
  readonly epoch: number;
  readonly atMs: number;
}
