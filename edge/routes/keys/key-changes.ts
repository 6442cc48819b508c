import {
  type ApiKey,
  apiKeyHash,
  formatApiKey,
  newApiKey,
} from "../../../shared/crypto/api-key.ts";
import { OctoError } from "../../../shared/errors.ts";
import type { Limits } from "../../../shared/limits.ts";
import type { KeyScope } from "../../../shared/permissions.ts";
import type { KeySettings } from "../../billing/limits/limit-chain.ts";
import type { Caller, Context } from "../../context.ts";
import { databaseOf } from "../../database.ts";
import {
  type ApiKeyChange,
  type ApiKeySummary,
  changeApiKey,
  createApiKey,
  type NewApiKey,
  readApiKey,
  replaceApiKey,
  revokeApiKey,
  teamKeysMax,
} from "../../db/people/api-keys.ts";
import { findProject } from "../../db/people/projects.ts";
import { findTeam } from "../../db/people/teams.ts";
import { forgetKey } from "../../keys/known-keys.ts";
import { assertMayGive, assertWithinOwn, type KeyLimitations, noSuchKey } from "./key-rights.ts";
import { knownAccount } from "../known-account.ts";
import { storedLimits } from "./stored-limits.ts";

/**
 * What is done with API keys, for all routes that do it. The order of the writes is what makes it
 * safe to die between them: a new key works last, a revoked one stops first, and a change is in the
 * registry before the Account tells of it (K2).
 */

export interface KeyWishes extends KeyLimitations {
  readonly name: string;
  readonly scopes: readonly KeyScope[];
  readonly teamId: string | null;
  readonly projectId: string | null;
  readonly limits: Limits | null;
}

export interface KeyOf {
  readonly accountId: string;
  readonly id: string;
}

/** A key with its secret, which nobody sees again. */
export interface ShownKey {
  readonly row: ApiKeySummary;
  readonly key: string;
}

export async function createKey(
  ctx: Context,
  caller: Caller,
  { accountId, ...wishes }: KeyWishes & { readonly accountId: string },
): Promise<ShownKey> {
  assertMayGive(caller, wishes.scopes);
  assertWithinOwn(caller, wishes);
  const { object } = await knownAccount(ctx, accountId);
  const places = await placesOf(ctx, accountId, wishes);
  const key = newApiKey(ctx.config.keyEnv);
  const row = {
    ...wishes,
    ...places,
    accountId,
    scopes: [...new Set(wishes.scopes)],
    lastUsedAt: null,
    replaces: null,
    ...(await freshRow(ctx, key)),
  };
  await using db = databaseOf(ctx.env);
  if (!(await createApiKey(db, row))) throw teamIsFull(places.teamId);
  await object.setKey(key.id, "active", settingsOf(row));
  forgetKey(key.id);
  return shown(row, key);
}

/** One of an account's keys; throws `not_found`. */
export async function keyOfAccount(ctx: Context, key: KeyOf): Promise<ApiKeySummary> {
  await using db = databaseOf(ctx.env);
  const row = await readApiKey(db, key);
  if (row === null) throw noSuchKey(key.id);
  return row;
}

/** Returns once nothing is begun by the settings of before. */
export async function changeKey(
  ctx: Context,
  caller: Caller,
  { change, ...key }: KeyOf & { readonly change: ApiKeyChange },
): Promise<ApiKeySummary> {
  const { row, object } = await usableKey(ctx, key);
  assertWithinOwn(caller, change);
  const isMoved = change.teamId !== undefined || change.projectId !== undefined;
  const places = isMoved ? await placesOf(ctx, key.accountId, { ...row, ...change }) : {};
  const next = { ...row, ...change, ...places };
  await using db = databaseOf(ctx.env);
  const atMs = ctx.startedMs;
  if (!(await changeApiKey(db, { ...key, atMs }, { ...change, ...places }))) {
    throw teamIsFull(next.teamId);
  }
  const { name: _, ...enforced } = { ...change, ...places };
  if (Object.keys(enforced).length > 0) {
    await object.changeKey(key.id, next.expiresAt, settingsOf(next));
  }
  forgetKey(key.id);
  return next;
}

/** A new key with everything of the old one, which ends once the grace is over. */
export async function rotateKey(
  ctx: Context,
  caller: Caller,
  { graceS, ...old }: KeyOf & { readonly graceS: number },
): Promise<ShownKey & { readonly replaced: ApiKeySummary }> {
  const { row: before, object } = await usableKey(ctx, old);
  // Its new secret is shown to the caller.
  assertMayGive(caller, before.scopes);
  assertWithinOwn(caller, before);
  if (before.expiresAt !== null && before.expiresAt <= ctx.startedMs) {
    throw new OctoError("conflict", `Cannot rotate the API key ${old.id}: it has expired`);
  }
  const endsMs = Math.min(ctx.startedMs + graceS * 1_000, before.expiresAt ?? Infinity);
  const key = newApiKey(ctx.config.keyEnv);
  const { revokedAt: _, ...kept } = before;
  const row = { ...kept, lastUsedAt: null, replaces: old.id, ...(await freshRow(ctx, key)) };
  await using db = databaseOf(ctx.env);
  if (!(await replaceApiKey(db, row, endsMs))) {
    await usableKey(ctx, old);
    throw teamIsFull(row.teamId);
  }
  await object.setKey(key.id, "active", settingsOf(row));
  await object.changeKey(old.id, endsMs);
  forgetKey(key.id);
  forgetKey(old.id);
  return { ...shown(row, key), replaced: { ...before, expiresAt: endsMs } };
}

/** Returns once the key is refused everywhere. */
export async function revokeKey(ctx: Context, key: KeyOf): Promise<void> {
  await keyOfAccount(ctx, key);
  const { object } = await knownAccount(ctx, key.accountId);
  // The Account first: holds and leases are its own, so the key is dead before the registry knows.
  await object.setKey(key.id, "revoked");
  await using db = databaseOf(ctx.env);
  await revokeApiKey(db, { ...key, atMs: ctx.startedMs });
  forgetKey(key.id);
}

/** A key's end as its caller writes it, in unix milliseconds. */
export function expiryMs(expiresAt: string | null, nowMs: number): number | null {
  if (expiresAt === null) return null;
  const ms = Date.parse(expiresAt);
  if (ms > nowMs) return ms;
  throw new OctoError("invalid_request", `expires_at: ${expiresAt} has passed`, {
    param: "expires_at",
  });
}

async function usableKey(ctx: Context, key: KeyOf) {
  const row = await keyOfAccount(ctx, key);
  if (row.revokedAt !== null) {
    throw new OctoError("conflict", `Cannot change the API key ${key.id}: it was revoked`);
  }
  const { object } = await knownAccount(ctx, key.accountId);
  return { row, object };
}

/** The team and project of a key: both the account's own, and the project one of the team. */
async function placesOf(
  ctx: Context,
  accountId: string,
  { teamId, projectId }: Pick<KeyWishes, "teamId" | "projectId">,
): Promise<Pick<KeyWishes, "teamId" | "projectId">> {
  await using db = databaseOf(ctx.env);
  const project = projectId === null ? null : await findProject(db, { accountId, id: projectId });
  if (projectId !== null && (project === null || project.archivedAt !== null)) {
    throw notThere("project", projectId);
  }
  const ofTeam = teamId ?? project?.teamId ?? null;
  if (ofTeam === null) return { teamId: null, projectId };
  const team = await findTeam(db, { accountId, id: ofTeam });
  if (team === null || team.archivedAt !== null) throw notThere("team", ofTeam);
  const other = project?.teamId ?? null;
  if (other === null || other === ofTeam) return { teamId: ofTeam, projectId };
  throw new OctoError(
    "invalid_request",
    `project_id: ${projectId} is a project of the team ${other}, not of ${ofTeam}`,
    { param: "project_id" },
  );
}

/** What a key's Account has to know of it, as it is obeyed there. */
function settingsOf(row: Pick<ApiKeySummary, "teamId" | "projectId" | "limits">): KeySettings {
  const { teamId, projectId, limits } = row;
  return { teamId, projectId, limits: storedLimits(limits) };
}

function notThere(what: "team" | "project", id: string): OctoError {
  return new OctoError("not_found", `There is no ${what} ${id}`, { param: `${what}_id` });
}

function teamIsFull(teamId: string | null): OctoError {
  return new OctoError(
    "conflict",
    `The team ${teamId ?? ""} has ${teamKeysMax} API keys and may have no more; revoke one`,
    { param: "team_id" },
  );
}

async function freshRow(ctx: Context, key: ApiKey) {
  const secretHash = await apiKeyHash(key, ctx.config.keyPepper);
  return { id: key.id, env: key.env, secretHash, createdAt: ctx.startedMs };
}

function shown(stored: NewApiKey, key: ApiKey): ShownKey {
  const { secretHash: _, ...row } = stored;
  return { row: { ...row, revokedAt: null }, key: formatApiKey(key) };
}
