import type { Client, InStatement, InValue } from "@libsql/client/web";
import { drizzle } from "drizzle-orm/libsql/web";
import type { LibSQLDatabase } from "drizzle-orm/libsql/driver-core";
import { failureToError, isBusy } from "./failures.ts";

/*
 * D1. A client that saw SQLITE_BUSY fails every later batch (libsql-client-ts 352): it serves what
 *     it has begun and nothing else.
 * D2. Only what is known not to have been committed is tried again: BUSY, and nothing of a lost
 *     connection.
 * D3. A write is one batch in one transaction that takes the write lock at its start; nothing
 *     interactive.
 */

/** What a query sees: drizzle over whichever client is sound just now. */
export type Orm = LibSQLDatabase;

/** A built statement: any of drizzle's builders. */
export interface Statement {
  toSQL(): { sql: string; params: unknown[] };
}

/**
 * A libSQL database, whatever the driver. `action` completes "Cannot …" in the message of a
 * failure.
 */
export interface Database extends AsyncDisposable {
  /** Runs a query, or drizzle's `batch` of several on one snapshot. */
  read<T>(action: string, query: (orm: Orm) => PromiseLike<T>): Promise<T>;
  /** Runs all statements in one transaction; gives the rows each of them changed. */
  write(action: string, build: (orm: Orm) => readonly Statement[]): Promise<readonly number[]>;
  /** Like `write`, of SQL text and with foreign keys off: tables are rebuilt by dropping them. */
  migrate(action: string, statements: readonly InStatement[]): Promise<void>;
}

export interface DatabaseOptions {
  /** Opens a client with `intMode: "bigint"`; called again whenever a client is thrown away. */
  readonly connect: () => Client;
  readonly sleep?: (ms: number) => Promise<void>;
  readonly random?: () => number;
}

/**
 * Waits of at most 25, 50, 100, 200, 400 and 800 ms: 1.6 s, within what a caller of an outbox can
 * wait.
 */
const busyTriesMax = 7;
const busyWaitMs = 25;

/** The database behind `connect`. Disposing closes its client. */
export function openDatabase(options: DatabaseOptions): Database {
  const random = options.random ?? Math.random;
  const sleep = options.sleep ?? ((ms) => new Promise<void>((done) => setTimeout(done, ms)));
  const clients = new Clients(options.connect);
  const perform = async <T>(action: string, work: Work<T>): Promise<T> => {
    for (let tried = 1; ; tried++) {
      try {
        return await clients.use(work);
      } catch (error) {
        if (!isBusy(error) || tried === busyTriesMax) throw failureToError(action, error);
        await sleep(random() * busyWaitMs * 2 ** (tried - 1));
      }
    }
  };
  return {
    read: (action, query) => perform(action, ({ orm }) => query(orm)),
    write: (action, build) =>
      perform(action, async ({ client, orm }) => {
        const results = await client.batch(build(orm).map(toClient), "write");
        return results.map((result) => result.rowsAffected);
      }),
    migrate: (action, statements) =>
      perform(action, async ({ client }) => void (await client.migrate([...statements]))),
    async [Symbol.asyncDispose]() {
      clients.retire();
    },
  };
}

interface Connection {
  readonly client: Client;
  readonly orm: Orm;
  /** Work begun on it and not yet ended. */
  users: number;
}

type Work<T> = (connection: Connection) => PromiseLike<T>;

/** One client at a time for all new work, and those before it until their work has ended (D1). */
class Clients {
  readonly #connect: () => Client;
  #current: Connection | null = null;

  constructor(connect: () => Client) {
    this.#connect = connect;
  }

  async use<T>(work: Work<T>): Promise<T> {
    const connection = (this.#current ??= open(this.#connect()));
    connection.users += 1;
    try {
      return await work(connection);
    } catch (error) {
      if (isBusy(error) && this.#current === connection) this.#current = null;
      throw error;
    } finally {
      connection.users -= 1;
      this.#closeIfIdle(connection);
    }
  }

  /** New work opens a new client. */
  retire(): void {
    const last = this.#current;
    this.#current = null;
    if (last !== null) this.#closeIfIdle(last);
  }

  /** Closing aborts what others have under way, so the last of them closes. */
  #closeIfIdle(connection: Connection): void {
    if (connection !== this.#current && connection.users === 0) connection.client.close();
  }
}

function open(client: Client): Connection {
  return { client, orm: drizzle({ client }), users: 0 };
}

function toClient(statement: Statement): InStatement {
  const { sql, params } = statement.toSQL();
  return { sql, args: params as InValue[] };
}
