import { type AddressBlock, parseAddressBlock } from "../../shared/addresses.ts";
import { apiKeyHash } from "../../shared/crypto/api-key.ts";
import { equalInConstantTime, utf8 } from "../../shared/crypto/bytes.ts";
import { type OctoOptions, octoOptionsSchema } from "../../shared/openai/octo-options.ts";
import { type Permission, permissionsOf } from "../../shared/permissions.ts";
import type { Context } from "../context.ts";
import { databaseOf } from "../database.ts";
import { findApiKey, type KeyWithAccount } from "../db/people/api-keys.ts";
import { assertMayAskForIds } from "../rates/count-calls.ts";

/**
 * What an isolate remembers of a key. Whether it is revoked, and whether its settings have changed
 * since, is its Account's to say: at every hold, before every lease and on every other route.
 */
export interface KnownKey {
  readonly secretHash: string;
  readonly accountId: string;
  readonly permissions: ReadonlySet<Permission>;
  readonly teamId: string | null;
  readonly projectId: string | null;
  readonly models: readonly string[] | null;
  readonly addresses: readonly AddressBlock[] | null;
  readonly expiresMs: number | null;
  readonly revoked: boolean;
  /** When it was last used, as far as the registry knew; the deployment's own key is in use. */
  readonly lastUsedMs: number | null;
  readonly routing: OctoOptions | null;
}

export interface Remembered {
  readonly key: KnownKey;
  readonly untilMs: number;
  /** How many changes of its settings its Account had told of before they were read. */
  readonly changes: number;
  /**
   * The text that proved the key last, which needs no hashing to be known again. It stays in this
   * isolate's memory, for as long as the entry.
   */
  provenBy: string | null;
}

/**
 * What no Account tells of, its account's routing, is known everywhere within this time. An id that
 * is unknown is so for as long: new ids are drawn, and nobody asks for one before it is.
 */
const knownMs = 60_000;
const knownMax = 10_000;
const unknownMax = 10_000;

const known = new Map<string, Remembered>();
const unknownUntilMs = new Map<string, number>();

/** The key that this text has proven before in this isolate, or null where it has to be hashed. */
export function provenKey(id: string, presented: string, nowMs: number): Remembered | null {
  const entry = known.get(id);
  if (entry === undefined || entry.untilMs <= nowMs || entry.provenBy === null) return null;
  return equalInConstantTime(utf8(entry.provenBy), utf8(presented)) ? entry : null;
}

/** The key with this id as it is remembered, or else as the registry has it. */
export async function knownKey(ctx: Context, id: string): Promise<Remembered | null> {
  const entry = known.get(id);
  if (entry !== undefined && entry.untilMs > ctx.startedMs) return entry;
  if (isKnownAsUnknown(id, ctx.startedMs)) return null;
  assertMayAskForIds(ctx);
  return readKey(ctx, id, 0);
}

/** Whether nobody has this id, as far as was asked lately. */
export function isKnownAsUnknown(id: string, nowMs: number): boolean {
  return (unknownUntilMs.get(id) ?? 0) > nowMs;
}

/**
 * Reads a key anew, its Account having told of so many changes. What proved it still does: an id
 * keeps its secret for life.
 */
export async function readKey(
  ctx: Context,
  id: string,
  changes: number,
): Promise<Remembered | null> {
  const key = id === ctx.config.operatorKey.id ? await operatorKey(ctx) : await storedKey(ctx, id);
  if (key === null) {
    known.delete(id);
    remember(unknownUntilMs, unknownMax, id, ctx.startedMs + knownMs);
    return null;
  }
  const before = known.get(id);
  const entry: Remembered = {
    key,
    untilMs: ctx.startedMs + knownMs,
    changes: Math.max(changes, before?.changes ?? 0),
    provenBy: before?.provenBy ?? null,
  };
  remember(known, knownMax, id, entry);
  return entry;
}

/** Forgets a key that this isolate's own caller just changed; other isolates ask the Account. */
export function forgetKey(id: string): void {
  known.delete(id);
  unknownUntilMs.delete(id);
}

/** Forgets the keys of an account whose routing this isolate's own caller just changed. */
export function forgetKeysOf(accountId: string): void {
  for (const [id, { key }] of known) if (key.accountId === accountId) known.delete(id);
}

/** What has lost its form is from another build, and asks for nothing. */
export function storedRouting(stored: unknown): OctoOptions | null {
  const parsed = octoOptionsSchema.safeParse(stored);
  return parsed.success ? parsed.data : null;
}

async function storedKey(ctx: Context, id: string): Promise<KnownKey | null> {
  await using db = databaseOf(ctx.env);
  const row = await findApiKey(db, id);
  return row === null ? null : keyOf(row);
}

function keyOf(row: KeyWithAccount): KnownKey {
  return {
    secretHash: row.secretHash,
    accountId: row.accountId,
    permissions: permissionsOf(row.scopes),
    teamId: row.teamId,
    projectId: row.projectId,
    models: row.models,
    // A block that cannot be read lets nobody in; that its list is there still keeps others out.
    addresses: row.addresses?.flatMap((text) => parseAddressBlock(text) ?? []) ?? null,
    expiresMs: row.expiresAt,
    revoked: row.revokedAt !== null,
    lastUsedMs: row.lastUsedAt,
    routing: storedRouting(row.routing),
  };
}

/** The operator's first key is a secret of the deployment: it works before there is any account. */
async function operatorKey(ctx: Context): Promise<KnownKey> {
  return {
    secretHash: await apiKeyHash(ctx.config.operatorKey, ctx.config.keyPepper),
    accountId: "system",
    permissions: permissionsOf(["operator"]),
    teamId: null,
    projectId: null,
    models: null,
    addresses: null,
    expiresMs: null,
    revoked: false,
    lastUsedMs: ctx.startedMs,
    routing: null,
  };
}

/** The oldest gives way: a guesser of ids empties no more than its own share. */
function remember<T>(entries: Map<string, T>, most: number, id: string, entry: T): void {
  entries.delete(id);
  const [oldest] = entries.keys();
  if (entries.size >= most && oldest !== undefined) entries.delete(oldest);
  entries.set(id, entry);
}
