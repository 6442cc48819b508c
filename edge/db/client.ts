import { createClient } from "@libsql/client/web";
import type { Database } from "./database.ts";
import { openDatabase } from "./database.ts";

export interface DatabaseAddress {
  /** `libsql:`, `https:` or `http:`. */
  readonly url: string;
  readonly authToken?: string | undefined;
  /** Reaches the database another way than by the internet: a service binding's `fetch`. */
  readonly fetch?: ((request: Request) => Promise<Response>) | undefined;
}

/**
 * The database at an address, for workerd (and anything else that has `fetch`). Opens nothing until
 * used.
 */
export function createDatabase(address: DatabaseAddress): Database {
  const { url, authToken, fetch } = address;
  return openDatabase({
    connect: () =>
      createClient({
        url,
        // Micros exceed what a float holds: every INTEGER is a bigint until its column says
        // otherwise.
        intMode: "bigint",
        // The client's own queue would let one request wake another's promise, which workerd
        // forbids.
        concurrency: Number.POSITIVE_INFINITY,
        ...(authToken === undefined ? {} : { authToken }),
        ...(fetch === undefined ? {} : { fetch }),
      }),
  });
}
