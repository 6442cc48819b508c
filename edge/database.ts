import { createDatabase } from "./db/client.ts";
import type { Database } from "./db/database.ts";
import { configOf, type Env } from "./env.ts";

/**
 * A database that takes a request and never answers must not keep an account's outbox for as long:
 * what is given up here is tried again there. A check of a hundred thousand transfers, the longest
 * of what is asked, takes three seconds.
 */
const answerMsMax = 30_000;

/**
 * The database of an environment. It is made anew for every request or event: a client must not
 * carry one request's I/O into another, and it opens nothing until it is used.
 */
export function databaseOf(env: Env, answerMs: number = answerMsMax): Database {
  const config = configOf(env);
  const { LIBSQL } = env;
  return createDatabase({
    url: config.libsqlUrl,
    authToken: config.libsqlAuthToken ?? undefined,
    fetch: (request) =>
      answeredWithin(answerMs, (signal) =>
        LIBSQL === undefined ? fetch(request, { signal }) : LIBSQL.fetch(request, { signal }),
      ),
  });
}

/** The whole answer, or the failure of one that did not come in time. */
async function answeredWithin(
  ms: number,
  ask: (signal: AbortSignal) => Promise<Response>,
): Promise<Response> {
  const controller = new AbortController();
  // Not `AbortSignal.timeout`: a timer that outlives its answer keeps a Durable Object awake.
  const timer = setTimeout(() => {
    controller.abort(new Error(`the database did not answer within ${ms} ms`));
  }, ms);
  try {
    const response = await ask(controller.signal);
    const { status, headers } = response;
    return new Response(await response.arrayBuffer(), { status, headers });
  } finally {
    clearTimeout(timer);
  }
}
