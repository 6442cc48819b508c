import { apiKeyHash, apiKeyIdOf, parseApiKey } from "../shared/crypto/api-key.ts";
import { equalInConstantTime, utf8 } from "../shared/crypto/bytes.ts";
import { OctoError } from "../shared/errors.ts";
import { type OctoOptions, octoOptionsSchema } from "../shared/openai/octo-options.ts";
import { type Permission, permissionsOf } from "../shared/permissions.ts";
import type { Caller, Context } from "./context.ts";
import { databaseOf } from "./database.ts";
import { findApiKey } from "./db/api-keys.ts";
import { isToken } from "./sign-in/session.ts";
import { sessionCaller } from "./sign-in/session-caller.ts";

/**
 * What an isolate remembers of a key. Whether it is revoked is its Account's to say, at every hold
 * and before every lease.
 */
interface KnownKey {
  readonly secretHash: string;
  readonly accountId: string;
  readonly permissions: ReadonlySet<Permission>;
  readonly teamId: string | null;
  readonly projectId: string | null;
  readonly env: string;
  readonly expiresMs: number | null;
  readonly revoked: boolean;
  readonly routing: OctoOptions | null;
}

interface Remembered {
  readonly key: KnownKey | null;
  readonly untilMs: number;
  /**
   * The text that proved the key last, which needs no hashing to be known again. It stays in this
   * isolate's memory, for as long as the entry.
   */
  provenBy: string | null;
}

/**
 * A key's account and hash never change. Its account's routing may: a change is known everywhere
 * within a minute.
 */
const knownMs = 60_000;
/** An unknown id is remembered as briefly as a new key may take to work everywhere. */
const unknownMs = 2_000;
const cacheMax = 10_000;

const cache = new Map<string, Remembered>();

/**
 * The caller of a request by its `Authorization: Bearer` key or session. Every wrong key gets the
 * same answer.
 */
export async function authenticate(ctx: Context, authorization: string | null): Promise<Caller> {
  const presented = /^Bearer +(\S+)$/i.exec(authorization ?? "")?.[1];
  if (presented === undefined) {
    throw new OctoError(
      "invalid_api_key",
      "No API key: send the header `Authorization: Bearer octo_sk_…`",
    );
  }
  if (isToken(presented)) return sessionCaller(ctx, presented);
  const caller = provenCaller(ctx, presented) ?? (await callerOf(ctx, presented));
  if (caller === null) throw wrongKey();
  return caller;
}

/** The caller of a key that this isolate has seen, or null where it has to be hashed. */
function provenCaller(ctx: Context, presented: string): Caller | null {
  const id = apiKeyIdOf(presented);
  const cached = id === null ? undefined : cache.get(id);
  if (id === null || cached === undefined || cached.untilMs <= ctx.startedMs) return null;
  const { key, provenBy } = cached;
  if (key === null || provenBy === null) return null;
  if (!equalInConstantTime(utf8(provenBy), utf8(presented))) return null;
  return usableCaller(ctx, id, key);
}

/** Refuses a caller who may not do this. */
export function assertMay(caller: Caller, permission: Permission): void {
  if (caller.permissions.has(permission)) return;
  throw new OctoError("insufficient_scope", `This needs the permission ${permission}`);
}

/** One answer for unknown, revoked, expired and malformed keys: it tells a guesser nothing. */
export function wrongKey(): OctoError {
  return new OctoError(
    "invalid_api_key",
    "The API key is not valid: it is mistyped, revoked, expired or for another network",
  );
}

async function callerOf(ctx: Context, text: string): Promise<Caller | null> {
  const presented = parseApiKey(text);
  if (presented === null) return null;
  const { id } = presented;
  const known = id === ctx.config.operatorKey.id ? await operatorKey(ctx) : await knownKey(ctx, id);
  const hash = await apiKeyHash(presented);
  // Compared also where the id is unknown, so that both take the same time.
  const same = equalInConstantTime(utf8(known?.secretHash ?? "0".repeat(64)), utf8(hash));
  if (known === null || !same || known.env !== presented.env) return null;
  const cached = cache.get(id);
  if (cached?.key === known) cached.provenBy = text;
  return usableCaller(ctx, id, known);
}

function usableCaller(ctx: Context, id: string, known: KnownKey): Caller | null {
  if (known.revoked) return null;
  if (known.expiresMs !== null && known.expiresMs <= ctx.startedMs) return null;
  const { accountId, permissions, teamId, projectId, routing } = known;
  return { accountId, keyId: id, personId: null, permissions, teamId, projectId, routing };
}

/** The operator's first key is a secret of the deployment: it works before there is any account. */
async function operatorKey(ctx: Context): Promise<KnownKey> {
  const own = ctx.config.operatorKey;
  return {
    secretHash: await apiKeyHash(own),
    accountId: "system",
    permissions: permissionsOf(["operator"]),
    teamId: null,
    projectId: null,
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
          permissions: permissionsOf(row.scopes),
          teamId: row.teamId,
          projectId: row.projectId,
          env: row.env,
          expiresMs: row.expiresAt,
          revoked: row.revokedAt !== null,
          routing: storedRouting(row.routing),
        };
  if (cache.size >= cacheMax) cache.clear();
  const untilMs = ctx.startedMs + (key === null ? unknownMs : knownMs);
  cache.set(id, { key, untilMs, provenBy: null });
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
