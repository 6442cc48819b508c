import Libsql from "libsql";
import { readSql } from "./parameters.ts";
import type { EngineValue } from "./values.ts";
import { engineToWire, wireToEngine } from "./values.ts";
import type { StatementResult, WireError, WireStatement } from "./wire.ts";

/*
 * C1. The engine never waits for a lock: it would stop this process, and with it the holder of the
 *     lock. Who waits is the caller, between tries.
 * C2. A statement that met SQLITE_BUSY stays open in the engine and fails every later commit on its
 *     connection, so that connection is replaced as soon as it is out of a transaction.
 */

/** A failure as Hrana reports it; a stream survives it. */
export class SqlError extends Error {
  override readonly name = "SqlError";
  readonly code: string;

  constructor(message: string, code: string) {
    super(message);
    this.code = code;
  }

  get isBusy(): boolean {
    return /^SQLITE_(BUSY|LOCKED)/.test(this.code);
  }

  toWire(): WireError {
    return { message: this.message, code: this.code };
  }
}

export interface Description {
  readonly params: readonly { readonly name: string | null }[];
  readonly cols: readonly { readonly name: string; readonly decltype: string | null }[];
  readonly is_explain: boolean;
  readonly is_readonly: boolean;
}

/** One connection to a database file, with foreign keys on and a write-ahead log. */
export class Connection implements Disposable {
  readonly #path: string;
  #engine: Libsql.Database;
  #isPoisoned = false;

  constructor(path: string) {
    this.#path = path;
    this.#engine = openEngine(path);
  }

  get isInTransaction(): boolean {
    return this.#engine.inTransaction;
  }

  /** Runs one statement. Throws SqlError. */
  execute(statement: WireStatement & { readonly sql: string }): StatementResult {
    return this.#guard(() => {
      const args = bind(statement);
      const prepared = this.#engine.prepare(statement.sql);
      if (!prepared.reader) {
        const { changes } = prepared.run(args);
        return { cols: [], rows: [], affected_row_count: changes, ...this.#lastRowid() };
      }
      const before = this.#changes();
      const rows = prepared.raw(true).safeIntegers(true).all(args) as EngineValue[][];
      // A `returning` clause makes a write give rows.
      const affected = this.#changes() - before;
      return {
        cols: prepared.columns().map(({ name, type }) => ({ name, decltype: type })),
        rows: statement.want_rows === false ? [] : rows.map((row) => row.map(engineToWire)),
        affected_row_count: affected,
        ...(affected === 0 ? { last_insert_rowid: null } : this.#lastRowid()),
      };
    });
  }

  /**
   * Runs any number of statements and ignores their rows. Throws SqlError at the first that fails.
   */
  sequence(sql: string): void {
    this.#guard(() => this.#engine.exec(sql));
  }

  describe(sql: string): Description {
    return this.#guard(() => {
      const prepared = this.#engine.prepare(sql);
      const columns = prepared.reader ? prepared.columns() : [];
      return {
        params: readSql(sql).parameters.map((name) => ({ name })),
        cols: columns.map(({ name, type }) => ({ name, decltype: type })),
        is_explain: /^\s*explain\b/i.test(sql),
        // The engine does not tell; a `with` in front of a write counts as a write.
        is_readonly: /^\s*(select|values|explain)\b/i.test(sql),
      };
    });
  }

  /** Leaves no trace of whoever used the connection: no transaction, and no poison (C2). */
  reset(): void {
    if (this.isInTransaction) this.#engine.exec("ROLLBACK");
    if (this.#isPoisoned) this.replace();
  }

  /** Opens it anew, with the settings it began with. */
  replace(): void {
    this[Symbol.dispose]();
    this.#engine = openEngine(this.#path);
    this.#isPoisoned = false;
  }

  [Symbol.dispose](): void {
    // The engine really closes when its statements are collected; until then a transaction would
    // keep its locks.
    if (this.isInTransaction) this.#engine.exec("ROLLBACK");
    this.#engine.close();
  }

  #guard<T>(work: () => T): T {
    if (this.#isPoisoned && !this.isInTransaction) this.replace();
    try {
      return work();
    } catch (error) {
      const failure = toSqlError(error);
      if (failure.isBusy) this.#isPoisoned = true;
      throw failure;
    }
  }

  #changes(): number {
    return Number(this.#number("select total_changes()"));
  }

  #lastRowid(): { last_insert_rowid: string } {
    return { last_insert_rowid: this.#number("select last_insert_rowid()").toString() };
  }

  #number(sql: string): bigint {
    const [[value] = []] = this.#engine.prepare(sql).raw(true).safeIntegers(true).all([]) as [
      [bigint]?,
    ];
    return value ?? 0n;
  }
}

function openEngine(path: string): Libsql.Database {
  const engine = new Libsql(path, { timeout: 0 });
  engine.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON");
  return engine;
}

/** All values by index: the engine binds either indexes or names, a client may send both. */
function bind(statement: WireStatement & { readonly sql: string }): EngineValue[] {
  const { parameters, hasTail } = readSql(statement.sql);
  if (hasTail) throw new SqlError("SQL text has more than one statement", "SQL_MANY_STATEMENTS");
  const named = new Map(statement.named_args?.map(({ name, value }) => [name, value]));
  const count = Math.max(parameters.length, statement.args?.length ?? 0);
  return Array.from({ length: count }, (_, place) => {
    const name = parameters[place] ?? null;
    const byName = name === null ? undefined : (named.get(name) ?? named.get(name.slice(1)));
    const value = wireToEngine(byName ?? statement.args?.[place] ?? { type: "null" });
    if (typeof value === "string" && value.includes("\0")) {
      // The native engine would cut the text there without a word.
      throw new SqlError("text with a NUL character cannot be bound here", "SQLITE_MISMATCH");
    }
    return value;
  });
}

function toSqlError(error: unknown): SqlError {
  if (error instanceof SqlError) return error;
  if (error instanceof Error && "code" in error && typeof error.code === "string") {
    return new SqlError(error.message, error.code);
  }
  return new SqlError(error instanceof Error ? error.message : "unknown failure", "SQLITE_ERROR");
}
