import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { applyMigrations } from "../edge/db/migrate.ts";
import { bundleEdge } from "./bundle-edge.ts";
import { createEndpoint } from "./libsql/endpoint.ts";
import { openLocalDatabase } from "./libsql/open-local.ts";
import { readMigrations } from "./libsql/read-migrations.ts";
import { rateLimits } from "./rate-limits.ts";
import type { Secrets } from "./secrets.ts";
import { StartError } from "./state.ts";

/** Where the edge begins. */
export const edgeEntry = fileURLToPath(new URL("../edge/worker.ts", import.meta.url));

/**
 * On one machine everybody is one caller at one address: the counters are there, and never full
 * unless somebody wants them to be.
 */
const localCallsPerMinute = 1_000_000;

/** The compatibility settings of `wrangler.toml`; a test holds the two together. */
export const compatibility = {
  compatibilityDate: "2026-10-01",
  compatibilityFlags: ["nodejs_compat", "enable_request_signal"],
};

export interface EdgeOptions {
  /** 0 takes a free port. */
  readonly port: number;
  /** Holds the database and the Durable Objects' storage. */
  readonly stateDir: string;
  readonly secrets: Secrets;
  /** Variables of the Worker beside the secrets, say shorter deadlines. */
  readonly vars?: Readonly<Record<string, string>>;
  /** Another bundle in the edge's place, from whoever measures what a part of it costs. */
  readonly script?: string;
  /** A Worker that reaches the edge's objects, from whoever measures them alone. */
  readonly beside?: { readonly name: string; readonly script: string };
  /** Given by who stops everything in order when the process is told to end. */
  readonly signal?: AbortSignal;
}

/** An edge on this machine: workerd, and libSQL on a file beside it. */
export interface Edge extends AsyncDisposable {
  readonly url: string;
  readonly miniflare: Miniflare;
  /** The same database file, read natively. */
  readonly databaseUrl: string;
}

/** Starts an edge; resolves once it answers. */
export async function startEdge(options: EdgeOptions): Promise<Edge> {
  await mkdir(options.stateDir, { recursive: true });
  const databasePath = join(options.stateDir, "octo.db");
  const databaseUrl = `file:${databasePath}`;
  await migrate(databasePath);
  const endpoint = createEndpoint({ path: databasePath });
  const script = options.script ?? (await bundleEdge(edgeEntry));
  const create = () =>
    new Miniflare(
      convertV4MiniflareOptions({
        host: "127.0.0.1",
        port: options.port,
        workers: [
          {
            name: "edge",
            modules: [{ type: "ESModule", path: "worker.js", contents: script }],
            ...compatibility,
            durableObjects: {
              HUB: { className: "Hub", useSQLite: true },
              DIRECTORY: { className: "Directory", useSQLite: true },
              ACCOUNT: { className: "Account", useSQLite: true },
            },
            bindings: bindingsOf(options),
            ratelimits: rateLimits(() => localCallsPerMinute),
            serviceBindings: { LIBSQL: (request: Request) => endpoint.fetch(request) },
          },
          ...(options.beside === undefined ? [] : [neighbour(options.beside)]),
        ],
        resourcePersistencePath: join(options.stateDir, "objects"),
        logRequests: false,
        // The default asks a server on the internet where this machine is.
        cf: false,
      }),
    );
  const miniflare = options.signal === undefined ? create() : withoutSignalListeners(create);
  try {
    const url = (await miniflare.ready).origin;
    return {
      url,
      miniflare,
      databaseUrl,
      async [Symbol.asyncDispose]() {
        await miniflare.dispose();
        await endpoint[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await miniflare.dispose();
    await endpoint[Symbol.asyncDispose]();
    throw error;
  }
}

/**
 * Miniflare ends the process at the first signal, before answers and workers could end. Its
 * listener of "exit", which stays, is enough for what is left by then.
 */
function withoutSignalListeners<Made>(create: () => Made): Made {
  const names = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  const before = new Map(names.map((name) => [name, new Set(process.listeners(name))]));
  const made = create();
  for (const name of names) {
    for (const listener of process.listeners(name)) {
      if (before.get(name)?.has(listener) !== true) process.removeListener(name, listener);
    }
  }
  return made;
}

/** It has the edge's accounts under the same name. */
function neighbour({ name, script }: NonNullable<EdgeOptions["beside"]>) {
  return {
    name,
    modules: [{ type: "ESModule" as const, path: "worker.js", contents: script }],
    ...compatibility,
    durableObjects: { ACCOUNT: { className: "Account", scriptName: "edge", useSQLite: true } },
  };
}

function bindingsOf(options: EdgeOptions): Record<string, string> {
  return {
    OCTO_NETWORK: "local",
    OCTO_KEY_ENV: "dev",
    OCTO_REGION: "weur",
    OCTO_SIGN_UP: "open",
    // One machine has one operator: there is no second pair of eyes, nor any money.
    OCTO_FOUR_EYES_MICROS: "999999999999999",
    OCTO_OPERATOR_KEY: options.secrets.operatorKey,
    OCTO_EDGE_KEY: options.secrets.edgeKey,
    OCTO_TICKET_SECRET: options.secrets.ticketSecret,
    OCTO_KEY_PEPPER: options.secrets.keyPepper,
    ...options.vars,
  };
}

async function migrate(path: string): Promise<void> {
  await using db = openLocalDatabase({ url: `file:${path}` });
  try {
    await applyMigrations(db, await readMigrations(), Date.now());
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new StartError(`Cannot use ${path}: ${reason}; start with --fresh to begin anew`, {
      cause: error,
    });
  }
}
