import { z } from "zod";
import { databaseOf } from "../../database.ts";
import { type ApiKeyChange, listApiKeys } from "../../db/people/api-keys.ts";
import {
  accountIdField,
  keyIdField,
  pageQuery,
  pageSchema,
  pageToJson,
  teamIdField,
} from "../fields.ts";
import { accountOfKey, subjectAccount } from "./key-rights.ts";
import {
  createdKeySchema,
  graceField,
  keyChangeSchema,
  keySchema,
  keyToJson,
  newKeySchema,
  rotatedKeySchema,
} from "./key-schema.ts";
import { knownAccount } from "../known-account.ts";
import {
  changeKey,
  createKey,
  expiryMs,
  keyOfAccount,
  revokeKey,
  rotateKey,
} from "./key-changes.ts";
import { defineRoute, type Route } from "../route.ts";

const path = "/api/v1/keys";
const params = z.strictObject({ id: keyIdField });
const accountQuery = {
  account_id: accountIdField
    .optional()
    .meta({ description: "Whose; the caller's own unless an operator says" }),
};

const about =
  "Once this answers the change holds everywhere; for a key in use that takes two seconds. Tasks " +
  "that are running end as usual.";

/** The API keys of an account, for its own callers; operators name the account. */
export const keyRoutes: readonly Route[] = [
  defineRoute({
    name: "createKey",
    method: "post",
    path,
    summary: "Create an API key",
    about:
      "A caller gives scopes whose permissions it has itself. A key that is limited to models, " +
      "addresses or a time gives keys within its own limits.",
    access: ["keys:write", "network:operate"],
    body: newKeySchema,
    status: 201,
    answer: createdKeySchema,
    errors: ["not_found", "conflict"],
    async handle({ ctx, caller, body }) {
      const { row, key } = await createKey(ctx, caller, {
        accountId: subjectAccount(caller, body.account_id),
        name: body.name,
        scopes: body.scopes,
        teamId: body.team_id ?? null,
        projectId: body.project_id ?? null,
        models: body.models ?? null,
        addresses: body.addresses ?? null,
        limits: body.limits ?? null,
        expiresAt: expiryMs(body.expires_at ?? null, ctx.startedMs),
      });
      return { ...keyToJson(row), key };
    },
  }),
  defineRoute({
    name: "listKeys",
    method: "get",
    path,
    summary: "List the API keys of an account, newest first",
    access: "keys:read",
    query: z.strictObject({ ...pageQuery, ...accountQuery, team_id: teamIdField.optional() }),
    answer: pageSchema(keySchema).meta({ id: "KeyPage" }),
    errors: ["not_found"],
    async handle({ ctx, caller, query: { account_id: asked, team_id: teamId, ...page } }) {
      const accountId = subjectAccount(caller, asked);
      await knownAccount(ctx, accountId);
      await using db = databaseOf(ctx.env);
      return pageToJson(await listApiKeys(db, { accountId, teamId, ...page }), keyToJson);
    },
  }),
  defineRoute({
    name: "readKey",
    method: "get",
    path: `${path}/:id`,
    summary: "Read an API key",
    access: "keys:read",
    params,
    query: z.strictObject(accountQuery),
    answer: keySchema,
    errors: ["not_found"],
    async handle({ ctx, caller, params: { id }, query: { account_id: asked } }) {
      const accountId = await accountOfKey(ctx, caller, { id, asked });
      return keyToJson(await keyOfAccount(ctx, { accountId, id }));
    },
  }),
  defineRoute({
    name: "changeKey",
    method: "patch",
    path: `${path}/:id`,
    summary: "Change what an API key is called, belongs to and may be used for",
    about,
    access: ["keys:write", "network:operate"],
    params,
    query: z.strictObject(accountQuery),
    body: keyChangeSchema,
    answer: keySchema,
    errors: ["not_found", "conflict"],
    async handle({ ctx, caller, params: { id }, query: { account_id: asked }, body }) {
      const accountId = await accountOfKey(ctx, caller, { id, asked });
      const change = changeOf(body, ctx.startedMs);
      return keyToJson(await changeKey(ctx, caller, { accountId, id, change }));
    },
  }),
  defineRoute({
    name: "rotateKey",
    method: "post",
    path: `${path}/:id/rotate`,
    summary: "Replace an API key by a new one with everything of the old",
    about:
      "The old key goes on working for the grace, and then ends. Whoever lost an answer rotates " +
      "again and revokes the key that nobody has.",
    access: ["keys:write", "network:operate"],
    params,
    query: z.strictObject(accountQuery),
    body: z
      .strictObject({ grace_s: graceField })
      .meta({ id: "KeyRotation", examples: [{ grace_s: 3_600 }] }),
    status: 201,
    answer: rotatedKeySchema,
    errors: ["not_found", "conflict"],
    async handle({ ctx, caller, params: { id }, query: { account_id: asked }, body }) {
      const accountId = await accountOfKey(ctx, caller, { id, asked });
      const rotation = { accountId, id, graceS: body.grace_s };
      const { row, key, replaced } = await rotateKey(ctx, caller, rotation);
      return { ...keyToJson(row), key, replaced: keyToJson(replaced) };
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
    access: ["keys:write", "network:operate"],
    params,
    query: z.strictObject(accountQuery),
    answer: z
      .object({ object: z.literal("key"), id: keyIdField, revoked: z.literal(true) })
      .meta({ id: "RevokedKey" }),
    errors: ["not_found"],
    async handle({ ctx, caller, params: { id }, query: { account_id: asked } }) {
      await revokeKey(ctx, { accountId: await accountOfKey(ctx, caller, { id, asked }), id });
      return { object: "key", id, revoked: true };
    },
  }),
];

function changeOf(body: z.infer<typeof keyChangeSchema>, nowMs: number): ApiKeyChange {
  const { name, limits, models, addresses } = body;
  const { team_id: teamId, project_id: projectId, expires_at: expiresAt } = body;
  return {
    ...(name === undefined ? {} : { name }),
    ...(limits === undefined ? {} : { limits }),
    ...(models === undefined ? {} : { models }),
    ...(addresses === undefined ? {} : { addresses }),
    ...(teamId === undefined ? {} : { teamId }),
    ...(projectId === undefined ? {} : { projectId }),
    ...(expiresAt === undefined ? {} : { expiresAt: expiryMs(expiresAt, nowMs) }),
  };
}
