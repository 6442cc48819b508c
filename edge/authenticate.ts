import { isInBlock, parseAddress } from "../shared/addresses.ts";
import { apiKeyHash, apiKeyIdOf, parseApiKey } from "../shared/crypto/api-key.ts";
import { equalInConstantTime, utf8 } from "../shared/crypto/bytes.ts";
import { OctoError } from "../shared/errors.ts";
import type { Permission } from "../shared/permissions.ts";
import type { Caller, Context } from "./context.ts";
import {
  isKnownAsUnknown,
  knownKey,
  type KnownKey,
  provenKey,
  readKey,
  type Remembered,
} from "./keys/known-keys.ts";
import { createLockouts, lockedForMs, noteFailure } from "./keys/lockout.ts";
import { accountObject } from "./objects.ts";
import { countTry } from "./rates/count-calls.ts";
import { isToken } from "./sign-in/session.ts";
import { noAccountId, sessionCaller } from "./sign-in/session-caller.ts";

const lockouts = createLockouts();

/** A key that was used within a day is in use: it is not locked for its owner (X2). */
const provenLatelyMs = 24 * 3_600_000;

/** Compared with where an id is unknown, so that both take the same time; no hash is all zeros. */
const noHash = utf8("0".repeat(64));

/**
 * The caller of a request by its `Authorization: Bearer` key or session. Every wrong key gets the
 * same answer, until its address has sent too many.
 */
export async function authenticate(ctx: Context, authorization: string | null): Promise<Caller> {
  const presented = /^Bearer +(\S+)$/i.exec(authorization ?? "")?.[1] ?? null;
  try {
    return await provenCaller(ctx, presented);
  } catch (error) {
    if (error instanceof OctoError && error.code === "invalid_api_key") {
      await countTry(ctx, isUnknownId(ctx, presented));
    }
    throw error;
  }
}

function isUnknownId({ startedMs }: Context, presented: string | null): boolean {
  const id = presented === null ? null : apiKeyIdOf(presented);
  return id !== null && isKnownAsUnknown(id, startedMs);
}

async function provenCaller(ctx: Context, presented: string | null): Promise<Caller> {
  if (presented === null) {
    throw new OctoError(
      "invalid_api_key",
      "No API key: send the header `Authorization: Bearer octo_sk_…`",
    );
  }
  if (isToken(presented)) return sessionCaller(ctx, presented);
  const id = apiKeyIdOf(presented);
  if (id === null) throw wrongKey();
  const entry = provenKey(id, presented, ctx.startedMs) ?? (await proveKey(ctx, presented));
  const refused = refusalOf(ctx, entry.key);
  if (refused === null) return callerOf(id, entry);
  // Old settings may refuse what the last ones allow.
  const { key, changes } = entry;
  const renewed = await renewedIfChanged(ctx, { id, accountId: key.accountId, changes });
  if (renewed === null) throw refused;
  return renewed;
}

/**
 * The same caller by what the registry says now: its Account has told of changes that the caller's
 * settings are older than.
 */
export async function renewedCaller(ctx: Context, keyId: string, changes: number): Promise<Caller> {
  const entry = await readKey(ctx, keyId, changes);
  if (entry === null) throw wrongKey();
  const refused = refusalOf(ctx, entry.key);
  if (refused !== null) throw refused;
  return callerOf(keyId, entry);
}

/** Refuses a caller who may not do this. */
export function assertMay(caller: Caller, permission: Permission): void {
  if (!caller.permissions.has(permission)) throw beyondPermissions(caller, permission);
}

/** What a caller without a permission is told; who acts for no account has none at all. */
export function beyondPermissions({ accountId }: Caller, names: string): OctoError {
  return new OctoError(
    "insufficient_scope",
    accountId === noAccountId
      ? "This session acts for no account: join or open one and sign in again; of several, " +
          "account_id beside the signature says which"
      : `This needs the permission ${names}`,
  );
}

/**
 * The caller who may ask for a model, by the name that routing has found in the request: without
 * the suffix of a strategy. Throws where its key has a list of models without this one.
 */
export async function modelCaller(ctx: Context, caller: Caller, model: string): Promise<Caller> {
  if (mayAsk(caller, model)) return caller;
  const { keyId: id, accountId, key } = caller;
  const known = id === null ? null : { id, accountId, changes: key?.changes ?? 0 };
  const renewed = known === null ? null : await renewedIfChanged(ctx, known);
  if (renewed !== null && mayAsk(renewed, model)) return renewed;
  throw new OctoError("insufficient_scope", `This API key may not ask for the model ${model}`, {
    param: "model",
  });
}

export function mayAsk({ key }: Caller, ...names: readonly string[]): boolean {
  const models = key?.models ?? null;
  return models === null || names.some((name) => models.includes(name));
}

/** One answer for unknown, revoked, expired and malformed keys: it tells a guesser nothing. */
export function wrongKey(): OctoError {
  return new OctoError(
    "invalid_api_key",
    "The API key is not valid: it is mistyped, revoked, expired or for another network",
  );
}

async function proveKey(ctx: Context, text: string): Promise<Remembered> {
  const presented = parseApiKey(text);
  if (presented === null) throw wrongKey();
  const { id } = presented;
  const entry = await knownKey(ctx, id);
  const hash = await apiKeyHash(presented, ctx.config.keyPepper);
  const stored = entry === null ? noHash : utf8(entry.key.secretHash);
  const isRight = equalInConstantTime(stored, utf8(hash));
  const lockedMs = lockedForMs(lockouts, id, ctx.startedMs);
  if (entry !== null && isRight && (lockedMs === 0 || isInUse(entry.key, ctx.startedMs))) {
    entry.provenBy = text;
    return entry;
  }
  if (lockedMs > 0) throw locked(lockedMs);
  noteFailure(lockouts, id, ctx.startedMs);
  throw wrongKey();
}

function isInUse({ lastUsedMs }: KnownKey, nowMs: number): boolean {
  return lastUsedMs !== null && nowMs - lastUsedMs < provenLatelyMs;
}

function locked(forMs: number): OctoError {
  return new OctoError(
    "rate_limit_exceeded",
    "The API key is locked for a while: its id came with wrong secrets too often",
    { retryAfterS: Math.ceil(forMs / 1_000) },
  );
}

/** The caller by a key's last settings, or null where these are the last already. */
async function renewedIfChanged(
  ctx: Context,
  key: { readonly id: string; readonly accountId: string; readonly changes: number },
): Promise<Caller | null> {
  if (key.id === ctx.config.operatorKey.id) return null;
  const changes = await accountObject(ctx.env, key.accountId).keyChanges(key.id);
  return changes > key.changes ? renewedCaller(ctx, key.id, changes) : null;
}

function callerOf(id: string, { key, changes }: Remembered): Caller {
  const { accountId, permissions, teamId, projectId, routing } = key;
  const { models, addresses, expiresMs } = key;
  return {
    accountId,
    keyId: id,
    personId: null,
    permissions,
    teamId,
    projectId,
    key: { models, addresses, expiresMs, changes },
    routing,
  };
}

/** Why a key that is proven may not be used, if so; an address not known is on no list. */
function refusalOf(ctx: Context, { revoked, expiresMs, addresses }: KnownKey): OctoError | null {
  if (revoked || (expiresMs !== null && expiresMs <= ctx.startedMs)) return wrongKey();
  if (addresses === null) return null;
  const address = ctx.address === null ? null : parseAddress(ctx.address);
  if (address !== null && addresses.some((block) => isInBlock(address, block))) return null;
  return new OctoError(
    "insufficient_scope",
    `This API key may not be used from ${ctx.address ?? "an address that is not known"}`,
  );
}
