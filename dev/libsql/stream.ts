import type { BatchResult } from "./batch.ts";
import { runBatch } from "./batch.ts";
import type { Connection } from "./connection.ts";
import { SqlError } from "./connection.ts";
import type { StatementResult, WireBatch, WireRequest, WireStatement } from "./wire.ts";

/** How long a statement waits for another writer, and by what clock. */
export interface Patience {
  readonly busyTimeoutMs: number;
  readonly nowMs: () => number;
  readonly sleep: (ms: number) => Promise<void>;
}

/** Between two tries for a lock: short beside a write (about 1 ms), long beside a try (20 µs). */
const busyPollMs = 5;
/** The client keeps at most 30 texts of at most 5,000 characters; libsql-server allows 150. */
const storedSqlMax = 150;
/** What outlives a statement on its connection; an explained write never ends there. */
const settingsPattern = /\b(pragma|attach|detach|temp|temporary|explain)\b/i;

/** A Hrana stream: a connection and the SQL texts stored on it. */
export class Stream {
  readonly connection: Connection;
  readonly #patience: Patience;
  readonly #sqlById = new Map<number, string>();
  isClosed = false;
  /** Whether it may have changed a setting of its connection. */
  isUntidy = false;

  constructor(connection: Connection, patience: Patience) {
    this.connection = connection;
    this.#patience = patience;
  }

  /** The `StreamResult` of one request: a failure of SQL is a result, not an exception. */
  async answer(request: WireRequest): Promise<object> {
    try {
      return { type: "ok", response: await this.#respond(request) };
    } catch (error) {
      if (!(error instanceof SqlError)) throw error;
      return { type: "error", error: error.toWire() };
    }
  }

  async batch(batch: WireBatch): Promise<BatchResult> {
    return runBatch(batch, {
      execute: (statement) => this.#execute(statement),
      isAutocommit: () => !this.connection.isInTransaction,
    });
  }

  async #respond(request: WireRequest): Promise<object> {
    const { type } = request;
    if (this.isClosed && type !== "close") throw new SqlError("stream is closed", "STREAM_CLOSED");
    switch (type) {
      case "close":
        this.isClosed = true;
        return { type };
      case "execute":
        return { type, result: await this.#execute(request.stmt) };
      case "batch":
        return { type, result: await this.batch(request.batch) };
      case "sequence":
        this.connection.sequence(this.#sqlOf(request));
        return { type };
      case "describe":
        return { type, result: this.connection.describe(this.#sqlOf(request)) };
      case "store_sql":
        return this.#store(request.sql_id, request.sql);
      case "close_sql":
        this.#sqlById.delete(request.sql_id);
        return { type };
      case "get_autocommit":
        return { type, is_autocommit: !this.connection.isInTransaction };
    }
  }

  /**
   * Waits for other writers as SQLite's busy handler would; inside a transaction that could be for
   * ever.
   */
  async #execute(statement: WireStatement): Promise<StatementResult> {
    const known = { ...statement, sql: this.#sqlOf(statement) };
    const { nowMs, sleep, busyTimeoutMs } = this.#patience;
    const deadlineMs = nowMs() + busyTimeoutMs;
    for (;;) {
      const mayWait = !this.connection.isInTransaction;
      try {
        return this.connection.execute(known);
      } catch (error) {
        const isBusy = error instanceof SqlError && error.isBusy;
        if (!isBusy || !mayWait || nowMs() >= deadlineMs) throw error;
        await sleep(busyPollMs);
      }
    }
  }

  #store(id: number, sql: string): object {
    if (this.#sqlById.has(id)) throw new SqlError(`SQL ${id} is stored already`, "SQL_STORED");
    if (this.#sqlById.size >= storedSqlMax) {
      throw new SqlError(`Cannot store SQL ${id}: ${storedSqlMax} are stored`, "SQL_STORE_FULL");
    }
    this.#sqlById.set(id, sql);
    return { type: "store_sql" };
  }

  #sqlOf(text: { sql?: string | null | undefined; sql_id?: number | null | undefined }): string {
    const sql = text.sql ?? this.#sqlById.get(text.sql_id ?? -1);
    if (sql === undefined) throw new SqlError("no SQL text under this id", "SQL_NOT_STORED");
    if (settingsPattern.test(sql)) this.isUntidy = true;
    return sql;
  }
}
