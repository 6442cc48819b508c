import { createDatabase } from "./db/client.ts";
import type { Database } from "./db/database.ts";
import { configOf, type Env } from "./env.ts";

/**
 * The database of an environment. It is made anew for every request or event: a client must not
 * carry one request's I/O into another, and it opens nothing until it is used.
 */
export function databaseOf(env: Env): Database {
  const config = configOf(env);
  const { LIBSQL } = env;
  return createDatabase({
    url: config.libsqlUrl,
    authToken: config.libsqlAuthToken ?? undefined,
    fetch: LIBSQL === undefined ? undefined : (request) => LIBSQL.fetch(request),
  });
}
