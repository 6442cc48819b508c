import { z } from "zod";
import { apiKeyHash, formatApiKey, newApiKey } from "../../shared/crypto/api-key.ts";
import { OctoError } from "../../shared/errors.ts";
import { keyScopes } from "../../shared/permissions.ts";
import { forgetKey } from "../authenticate.ts";
import { databaseOf } from "../database.ts";
import {
  type ApiKeySummary,
  createApiKey,
  findApiKey,
  listApiKeys,
  revokeApiKey,
} from "../db/api-keys.ts";
import {
  accountIdField,
  keyIdField,
  nameField,
  pageQuery,
  pageSchema,
  pageToJson,
  timeField,
  timeToJson,
} from "./fields.ts";
import { knownAccount } from "./known-account.ts";
import { pushKey } from "./push-limits.ts";
import { defineRoute, type Route } from "./route.ts";

const path = "/api/v1/keys";

const keySchema = z
  .object({
    object: z.literal("key"),
    id: keyIdField,
    account_id: accountIdField,
    name: z.string(),
    scopes: z.array(z.enum(keyScopes)),
    created_at: timeField,
    expires_at: timeField.nullable(),
    revoked_at: timeField.nullable(),
  })
  .meta({ id: "Key", description: "An API key, without its secret." });

const createdKeySchema = keySchema
  .extend({
    key: z.string().meta({ description: "The key itself. It is shown this once and not stored" }),
  })
  .meta({ id: "CreatedKey", description: "A new API key with its secret." });

const newKeySchema = z
  .strictObject({
    account_id: accountIdField,
    name: nameField,
    scopes: z.array(z.enum(keyScopes)).min(1).default(["inference", "read-only"]),
    expires_at: z.iso.datetime({ offset: true }).nullish(),
  })
  .meta({
    id: "NewKey",
    examples: [
      {
        account_id: "acct_0000000000000000000000",
        name: "laptop",
        scopes: ["inference", "read-only"],
      },
    ],
  });

/** API keys, for operators. */
export const keyRoutes: readonly Route[] = [
  defineRoute({
    name: "createKey",
    method: "post",
    path,
    summary: "Create an API key",
    access: "network:operate",
    body: newKeySchema,
    status: 201,
    answer: createdKeySchema,
    errors: ["not_found"],
    async handle({ ctx, body }) {
      await knownAccount(ctx, body.account_id);
      const key = newApiKey(ctx.config.keyEnv);
      const row = {
        id: key.id,
        accountId: body.account_id,
        name: body.name,
        scopes: [...new Set(body.scopes)],
        teamId: null,
        projectId: null,
        models: null,
        addresses: null,
        limits: null,
        lastUsedAt: null,
        replaces: null,
        env: key.env,
        createdAt: ctx.startedMs,
        expiresAt: expiryMs(body.expires_at ?? null, ctx.startedMs),
      };
      await using db = databaseOf(ctx.env);
      await createApiKey(db, { ...row, secretHash: await apiKeyHash(key) });
      // Last: a key that nobody was shown must not work.
      await pushKey(ctx, { ...row, status: "active" });
      forgetKey(key.id);
      return { ...keyToJson({ ...row, revokedAt: null }), key: formatApiKey(key) };
    },
  }),
  defineRoute({
    name: "listKeys",
    method: "get",
    path,
    summary: "List the API keys of an account, newest first",
    access: "network:operate",
    query: z.strictObject({ ...pageQuery, account_id: accountIdField }),
    answer: pageSchema(keySchema).meta({ id: "KeyPage" }),
    errors: ["not_found"],
    async handle({ ctx, query: { account_id: accountId, ...page } }) {
      await knownAccount(ctx, accountId);
      await using db = databaseOf(ctx.env);
      return pageToJson(await listApiKeys(db, { accountId, ...page }), keyToJson);
    },
  }),
  defineRoute({
    name: "revokeKey",
    method: "delete",
    path: `${path}/:id`,
    summary: "Revoke an API key",
    about:
      "Once this answers the key is refused everywhere; for a key in use that takes two seconds. " +
      "Tasks that are running end as usual.",
    access: "network:operate",
    params: z.strictObject({ id: keyIdField }),
    answer: z
      .object({ object: z.literal("key"), id: keyIdField, revoked: z.literal(true) })
      .meta({ id: "RevokedKey" }),
    errors: ["not_found"],
    async handle({ ctx, params: { id } }) {
      await using db = databaseOf(ctx.env);
      const row = await findApiKey(db, id);
      if (row === null) throw new OctoError("not_found", `There is no API key ${id}`);
      const { accountId } = row;
      // The Account first: holds and leases are its own, so the key is dead before the registry
      // knows.
      const { object } = await knownAccount(ctx, accountId);
      await object.setKey(id, "revoked");
      await revokeApiKey(db, { accountId, id, atMs: ctx.startedMs });
      forgetKey(id);
      return { object: "key", id, revoked: true };
    },
  }),
];

function expiryMs(expiresAt: string | null, nowMs: number): number | null {
  if (expiresAt === null) return null;
  const ms = Date.parse(expiresAt);
  if (ms <= nowMs) {
    throw new OctoError("invalid_request", `expires_at: ${expiresAt} has passed`, {
      param: "expires_at",
    });
  }
  return ms;
}

function keyToJson(row: Omit<ApiKeySummary, "env">): z.infer<typeof keySchema> {
  return {
    object: "key",
    id: row.id,
    account_id: row.accountId,
    name: row.name,
    scopes: [...row.scopes],
    created_at: timeToJson(row.createdAt),
    expires_at: timeToJson(row.expiresAt),
    revoked_at: timeToJson(row.revokedAt),
  };
}
