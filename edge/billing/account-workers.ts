import { z } from "zod";

/**
 * The workers that an account has taken on: nobody else earns for it, so that nobody can pose as
 * one of its own workers, which are shown prompts that are meant for those alone.
 * W1. A worker is on the list only by the account's own word, never by a worker's.
 * W2. Of every worker on the list it is known at which hubs it has joined, before it is let in:
 *     whoever takes it off the list can end every session that it may have.
 * W3. Those hubs are forgotten only once they have ended its sessions, so that a call that failed
 *     half way is made again to the same end.
 */

/** More workers than one provider has; at a hundred a page the list is read in a hundred calls. */
export const workersMax = 10_000;

export interface TakenWorker {
  readonly id: string;
  readonly name: string | null;
  /** The person or the API key that took it on. */
  readonly by: string;
  readonly takenMs: number;
}

export type WorkersAsk =
  | {
      readonly kind: "take";
      readonly id: string;
      /** What people call it; undefined leaves what it is called already. */
      readonly name?: string | null | undefined;
      readonly by: string;
    }
  | { readonly kind: "let-go"; readonly id: string }
  /** The sessions that it had at these hubs are over. */
  | { readonly kind: "ended"; readonly id: string; readonly endedAt: readonly string[] }
  /** A worker that has proved itself at a hub wants to earn for the account. */
  | { readonly kind: "join"; readonly id: string; readonly hubId: string }
  | {
      readonly kind: "page";
      /** When the last of the page before was taken on, and which it was. */
      readonly before: readonly [number, string] | null;
      readonly limit: number;
    };

export type WorkersAnswer =
  | { readonly kind: "taken"; readonly worker: TakenWorker }
  /** Nobody was taken on: the list is full. */
  | { readonly kind: "full" }
  /** The hubs that may have a session of it still. */
  | { readonly kind: "let-go"; readonly wasTaken: boolean; readonly hubIds: string[] }
  | { readonly kind: "ended" }
  | { readonly kind: "joined" }
  | { readonly kind: "not-taken" }
  /** The newest first. */
  | { readonly kind: "page"; readonly workers: TakenWorker[] };

export class AccountWorkers {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(`
      CREATE TABLE IF NOT EXISTS workers (
        id TEXT PRIMARY KEY, name TEXT, taken_by TEXT NOT NULL, taken_ms INTEGER NOT NULL);
      CREATE INDEX IF NOT EXISTS workers_by_time ON workers (taken_ms, id);
      CREATE TABLE IF NOT EXISTS worker_hubs (
        worker_id TEXT NOT NULL, hub_id TEXT NOT NULL, PRIMARY KEY (worker_id, hub_id));
    `);
  }

  answer(ask: WorkersAsk): WorkersAnswer {
    switch (ask.kind) {
      case "take":
        return this.#take(ask, Date.now());
      case "let-go":
        return this.#letGo(ask.id);
      case "ended":
        return this.#ended(ask);
      case "join":
        return this.#join(ask);
      case "page":
        return { kind: "page", workers: this.#page(ask) };
    }
  }

  #take({ id, name, by }: AskTo<"take">, nowMs: number): WorkersAnswer {
    const before = this.#find(id);
    if (before === null && this.#count() >= workersMax) return { kind: "full" };
    const taken = before ?? { id, name: null, by, takenMs: nowMs };
    const worker = { ...taken, name: name === undefined ? taken.name : name };
    const sql = "INSERT OR REPLACE INTO workers VALUES (?, ?, ?, ?)";
    this.#sql.exec(sql, id, worker.name, worker.by, worker.takenMs);
    return { kind: "taken", worker };
  }

  #letGo(id: string): WorkersAnswer {
    const wasTaken = this.#find(id) !== null;
    this.#sql.exec("DELETE FROM workers WHERE id = ?", id);
    const rows = this.#sql.exec("SELECT hub_id FROM worker_hubs WHERE worker_id = ?", id);
    return { kind: "let-go", wasTaken, hubIds: rows.toArray().map((row) => hubOf(row)) };
  }

  #ended({ id, endedAt }: AskTo<"ended">): WorkersAnswer {
    // Taken on again meanwhile, it may be back at one of them (W2).
    if (this.#find(id) !== null) return { kind: "ended" };
    for (const hubId of endedAt) {
      this.#sql.exec("DELETE FROM worker_hubs WHERE worker_id = ? AND hub_id = ?", id, hubId);
    }
    return { kind: "ended" };
  }

  #join({ id, hubId }: AskTo<"join">): WorkersAnswer {
    if (this.#find(id) === null) return { kind: "not-taken" };
    this.#sql.exec("INSERT OR IGNORE INTO worker_hubs VALUES (?, ?)", id, hubId);
    return { kind: "joined" };
  }

  #page({ before, limit }: AskTo<"page">): TakenWorker[] {
    const [ms, id] = before ?? [Number.MAX_SAFE_INTEGER, ""];
    const rows = this.#sql.exec(
      `SELECT * FROM workers WHERE (taken_ms, id) < (?, ?)
         ORDER BY taken_ms DESC, id DESC LIMIT ?`,
      ms,
      id,
      limit,
    );
    return rows.toArray().map(toWorker);
  }

  #find(id: string): TakenWorker | null {
    const [row] = this.#sql.exec("SELECT * FROM workers WHERE id = ?", id).toArray();
    return row === undefined ? null : toWorker(row);
  }

  #count(): number {
    return countRow.parse(this.#sql.exec("SELECT count(*) AS count FROM workers").one()).count;
  }
}

type AskTo<Kind extends WorkersAsk["kind"]> = Extract<WorkersAsk, { kind: Kind }>;

const hubRow = z.object({ hub_id: z.string() });
const countRow = z.object({ count: z.int() });
const workerRow = z.object({
  id: z.string(),
  name: z.string().nullable(),
  taken_by: z.string(),
  taken_ms: z.int(),
});

function hubOf(row: unknown): string {
  return hubRow.parse(row).hub_id;
}

function toWorker(row: unknown): TakenWorker {
  const { id, name, taken_by: by, taken_ms: takenMs } = workerRow.parse(row);
  return { id, name, by, takenMs };
}
