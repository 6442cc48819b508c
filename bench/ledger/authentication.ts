import { join } from "node:path";
import { createEndpoint } from "../../dev/libsql/endpoint.ts";
import { openLocalDatabase } from "../../dev/libsql/open-local.ts";
import { readMigrations } from "../../dev/libsql/read-migrations.ts";
import { newSecrets } from "../../dev/secrets.ts";
import { createAccount } from "../../edge/db/people/accounts.ts";
import { createApiKey } from "../../edge/db/people/api-keys.ts";
import { applyMigrations } from "../../edge/db/migrate.ts";
import { apiKeyHash, formatApiKey, newApiKey } from "../../shared/crypto/api-key.ts";
import { atMost, type Figure } from "../figure.ts";

/**
 * What is used of the edge. Its own types are those of the Workers runtime, which do not go
 * together with Node's: so it is imported by address.
 */
interface EdgeParts {
  readonly authenticate: (ctx: object, authorization: string | null) => Promise<unknown>;
  readonly configOf: (env: object) => { readonly keyEnv: string; readonly keyPepper: string };
}

const keys = 100;
const rounds = 20;
const callsARound = 20_000;

/**
 * What it costs to know the caller of a request whose key this isolate has seen: processor time of
 * one call, by keys that are limited to models and addresses, of the quietest round.
 */
export async function measureAuthentication(
  folder: string,
  progress: (line: string) => void,
): Promise<readonly Figure[]> {
  progress("authenticating by keys that are known …");
  const { authenticate, configOf } = await edgeParts();
  const { ctx, texts } = await newKeys(join(folder, "authentication.db"), configOf);
  for (const text of texts) await authenticate(ctx, text);
  const costsUs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const before = process.cpuUsage();
    for (let call = 0; call < callsARound; call++) {
      await authenticate(ctx, texts[call % texts.length] ?? null);
    }
    const { user, system } = process.cpuUsage(before);
    costsUs.push((user + system) / callsARound);
  }
  return [atMost(50, "ledger.auth_cpu_us", Math.min(...costsUs), "µs")];
}

async function edgeParts(): Promise<EdgeParts> {
  const of = (name: string) => import(new URL(`../../edge/${name}.ts`, import.meta.url).href);
  return { ...(await of("authenticate")), ...(await of("env")) } as EdgeParts;
}

/** Keys in a registry of their own, and a request that they come with. */
async function newKeys(
  path: string,
  configOf: EdgeParts["configOf"],
): Promise<{ readonly ctx: object; readonly texts: readonly string[] }> {
  await using db = openLocalDatabase({ url: `file:${path}` });
  await applyMigrations(db, await readMigrations(), Date.now());
  const endpoint = createEndpoint({ path });
  const secrets = await newSecrets("bench");
  const env = {
    OCTO_NETWORK: "local",
    OCTO_KEY_ENV: "bench",
    OCTO_OPERATOR_KEY: secrets.operatorKey,
    OCTO_EDGE_KEY: secrets.edgeKey,
    OCTO_TICKET_SECRET: secrets.ticketSecret,
    OCTO_KEY_PEPPER: secrets.keyPepper,
    OCTO_RATES: "off",
    LIBSQL: { fetch: (request: Request) => endpoint.fetch(request) },
  };
  const config = configOf(env);
  const nowMs = Date.now();
  const account = { id: "acct_bench", kind: "consumer", name: "bench", status: "active" } as const;
  const settings = { concurrencyMax: 8, createdAt: nowMs, routing: null, limits: null };
  await createAccount(db, { ...account, ...settings });
  const texts: string[] = [];
  for (let number = 0; number < keys; number++) {
    const key = newApiKey(config.keyEnv);
    await createApiKey(db, {
      id: key.id,
      accountId: account.id,
      name: `key ${number}`,
      scopes: ["inference", "read-only"],
      teamId: null,
      projectId: null,
      models: ["octo-tiny"],
      addresses: ["192.0.2.0/24", "2001:db8::/32"],
      limits: null,
      env: key.env,
      secretHash: await apiKeyHash(key, config.keyPepper),
      createdAt: nowMs,
      expiresAt: null,
      lastUsedAt: null,
      replaces: null,
    });
    texts.push(`Bearer ${formatApiKey(key)}`);
  }
  const ctx = {
    env,
    config,
    requestId: "req_bench",
    region: "weur",
    address: "2001:db8::7",
    startedMs: nowMs,
    signal: new AbortController().signal,
    waitUntil: () => {},
  };
  return { ctx, texts };
}
