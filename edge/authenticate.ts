import { type ApiKey, apiKeyHash, parseApiKey } from "../shared/crypto/api-key.ts";
import { equalInConstantTime, utf8 } from "../shared/crypto/bytes.ts";
import { OctoError } from "../shared/errors.ts";
import { type OctoOptions, octoOptionsSchema } from "../shared/openai/octo-options.ts";
import type { Caller, Context } from "./context.ts";
import { databaseOf } from "./database.ts";
import { findApiKey } from "./db/api-keys.ts";

/**
 * What an isolate remembers of a key. Whether it is revoked is asked of its Account on every use of
 * money.
 */
interface KnownKey {
  readonly secretHash: string;
  readonly accountId: string;
  readonly role: "consumer" | "operator";
  readonly env: string;
  readonly expiresMs: number | null;
  readonly revoked: boolean;
  readonly routing: OctoOptions | null;
}

/**
 * A key's account and hash never change. Its account's routing may: a change is known everywhere
 * within a minute.
 */
const knownMs = 60_000;
/** An unknown id is remembered as briefly as a new key may take to work everywhere. */
const unknownMs = 2_000;
const cacheMax = 10_000;

const cache = new Map<string, { readonly key: KnownKey | null; readonly untilMs: number }>();

/**
 * The caller of a request by its `Authorization: Bearer` key. Every wrong key gets the same answer.
 */
export async function authenticate(ctx: Context, authorization: string | null): Promise<Caller> {
  const presented = /^Bearer +(\S+)$/i.exec(authorization ?? "")?.[1];
  if (presented === undefined) {
    throw new OctoError(
      "invalid_api_key",
      "No API key: send the header `Authorization: Bearer octo_sk_…`",
    );
  }
  const key = parseApiKey(presented);
  const caller = key === null ? null : await callerOf(ctx, key);
  if (caller === null) throw wrongKey();
  return caller;
}

/** Refuses a caller whose key is not an operator's. */
export function assertOperator(caller: Caller): void {
  if (caller.role !== "operator") {
    throw new OctoError("insufficient_scope", "This route needs an operator's API key");
  }
}

/** One answer for unknown, revoked, expired and malformed keys: it tells a guesser nothing. */
export function wrongKey(): OctoError {
  return new OctoError(
    "invalid_api_key",
    "The API key is not valid: it is mistyped, revoked, expired or for another network",
  );
}

async function callerOf(ctx: Context, presented: ApiKey): Promise<Caller | null> {
  const known =
    presented.id === ctx.config.operatorKey.id
      ? await operatorKey(ctx)
      : await knownKey(ctx, presented.id);
  const hash = await apiKeyHash(presented);
  // Compared also where the id is unknown, so that both take the same time.
  const same = equalInConstantTime(utf8(known?.secretHash ?? "0".repeat(64)), utf8(hash));
  if (known === null || !same || known.env !== presented.env || known.revoked) return null;
  if (known.expiresMs !== null && known.expiresMs <= ctx.startedMs) return null;
  const { accountId, role, routing } = known;
  return { accountId, keyId: presented.id, role, routing };
}

/** The operator's first key is a secret of the deployment: it works before there is any account. */
async function operatorKey(ctx: Context): Promise<KnownKey> {
  const own = ctx.config.operatorKey;
  return {
    secretHash: await apiKeyHash(own),
    accountId: "system",
    role: "operator",
    env: own.env,
    expiresMs: null,
    revoked: false,
    routing: null,
  };
}

async function knownKey(ctx: Context, id: string): Promise<KnownKey | null> {
  const cached = cache.get(id);
  if (cached !== undefined && cached.untilMs > ctx.startedMs) return cached.key;
  await using db = databaseOf(ctx.env);
  const row = await findApiKey(db, id);
  const key: KnownKey | null =
    row === null
      ? null
      : {
          secretHash: row.secretHash,
          accountId: row.accountId,
          role: row.role,
          env: row.env,
          expiresMs: row.expiresAt,
          revoked: row.revokedAt !== null,
          routing: storedRouting(row.routing),
        };
  if (cache.size >= cacheMax) cache.clear();
  cache.set(id, { key, untilMs: ctx.startedMs + (key === null ? unknownMs : knownMs) });
  return key;
}

/** Forgets the keys of an account whose routing this isolate's own caller just changed. */
export function forgetKeysOf(accountId: string): void {
  for (const [id, { key }] of cache) if (key?.accountId === accountId) cache.delete(id);
}

/** What has lost its form is from another build, and asks for nothing. */
export function storedRouting(stored: unknown): OctoOptions | null {
  const parsed = octoOptionsSchema.safeParse(stored);
  return parsed.success ? parsed.data : null;
}

/** Forgets a key that this isolate's own caller just changed; other isolates ask the Account. */
export function forgetKey(id: string): void {
  cache.delete(id);
}
