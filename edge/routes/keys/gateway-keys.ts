import { z } from "zod";
import { OctoError } from "../../../shared/errors.ts";
import { keyUuid } from "../../../shared/spend-event.ts";
import { assertMay } from "../../authenticate.ts";
import type { Context } from "../../context.ts";
import { databaseOf } from "../../database.ts";
import { type ApiKeySummary, listApiKeys } from "../../db/people/api-keys.ts";
import { spentSince } from "../../db/money/spend.ts";
import { accountIdField, keyIdField, microsToJson, pageQuery, teamIdField } from "../fields.ts";
import {
  generatedKeySchema,
  generateKeySchema,
  keyInfoSchema,
  limitsWith,
  monthStartMs,
  scopesByType,
  toSeconds,
  typeOf,
  updateKeySchema,
  virtualKey,
  virtualKeySchema,
} from "./gateway-schema.ts";
import { accountOfKey, subjectAccount } from "./key-rights.ts";
import { graceField, storedLimits } from "./key-schema.ts";
import { changeKey, createKey, keyOfAccount, revokeKey, rotateKey } from "./key-changes.ts";
import type { ShownKey } from "./key-changes.ts";
import { modelsFor } from "../inference/models.ts";
import { defineRoute, type Route } from "../route.ts";

const params = z.strictObject({ id: keyIdField });
const about = "As CipherOcto's gateway specification has it; `/api/v1/keys` says more.";

/** API keys under the names of the gateway specification: the same keys and the same rules. */
export const gatewayKeyRoutes: readonly Route[] = [
  defineRoute({
    name: "generateVirtualKey",
    method: "post",
    path: "/key/generate",
    summary: "Create an API key of a type",
    about,
    access: ["keys:write", "network:operate"],
    body: generateKeySchema,
    answer: generatedKeySchema,
    errors: ["not_found", "conflict"],
    async handle({ ctx, caller, body }) {
      const made = await createKey(ctx, caller, {
        accountId: subjectAccount(caller, body.account_id),
        name: body.description,
        scopes: scopesByType[body.key_type],
        teamId: body.team_id ?? null,
        projectId: null,
        models: body.models ?? null,
        addresses: null,
        limits: limitsWith(null, body),
        expiresAt: null,
      });
      return generated(made);
    },
  }),
  defineRoute({
    name: "listVirtualKeys",
    method: "get",
    path: "/key/list",
    summary: "List API keys, newest first",
    about,
    access: "keys:read",
    query: z.strictObject({
      ...pageQuery,
      account_id: accountIdField.optional(),
      team_id: teamIdField.optional(),
    }),
    answer: z
      .object({ keys: z.array(virtualKeySchema), next_cursor: z.string().nullable() })
      .meta({ id: "VirtualKeyList" }),
    errors: ["not_found"],
    async handle({ ctx, caller, query: { account_id: asked, team_id: teamId, ...page } }) {
      const accountId = subjectAccount(caller, asked);
      await using db = databaseOf(ctx.env);
      const { items, next } = await listApiKeys(db, { accountId, teamId, ...page });
      return { keys: await Promise.all(items.map(virtualKey)), next_cursor: next };
    },
  }),
  defineRoute({
    name: "readVirtualKey",
    method: "get",
    path: "/key/info",
    summary: "Read the API key that asks, or another of its account",
    about,
    access: "any key",
    query: z.strictObject({ key_id: keyIdField.optional() }),
    answer: keyInfoSchema,
    errors: ["not_found", "insufficient_scope"],
    async handle({ ctx, caller, query: { key_id: asked } }) {
      const id = asked ?? caller.keyId;
      if (id === null) throw whichKey();
      if (id !== caller.keyId) assertMay(caller, "keys:read");
      const accountId =
        id === caller.keyId
          ? caller.accountId
          : await accountOfKey(ctx, caller, { id, asked: undefined });
      const row = await keyOfAccount(ctx, { accountId, id });
      return { ...(await virtualKey(row)), current_spend: await spendOf(ctx, row) };
    },
  }),
  defineRoute({
    name: "regenerateVirtualKey",
    method: "post",
    path: "/key/regenerate",
    summary: "Replace an API key by a new one with everything of the old",
    about,
    access: ["keys:write", "network:operate"],
    body: z
      .strictObject({ key_id: keyIdField.optional(), grace_s: graceField })
      .meta({ id: "RegenerateKeyRequest", examples: [{ key_id: "awsbvuRJ" }] }),
    answer: generatedKeySchema,
    errors: ["not_found", "conflict"],
    async handle({ ctx, caller, body }) {
      const id = body.key_id ?? caller.keyId;
      if (id === null) throw whichKey();
      const accountId = await accountOfKey(ctx, caller, { id, asked: undefined });
      return generated(await rotateKey(ctx, caller, { accountId, id, graceS: body.grace_s }));
    },
  }),
  defineRoute({
    name: "updateVirtualKey",
    method: "put",
    path: "/key/:id",
    summary: "Change the limits of an API key, its team, models or description",
    about,
    access: ["keys:write", "network:operate"],
    params,
    body: updateKeySchema,
    answer: virtualKeySchema,
    errors: ["not_found", "conflict"],
    async handle({ ctx, caller, params: { id }, body }) {
      const accountId = await accountOfKey(ctx, caller, { id, asked: undefined });
      const { description: name, models, team_id: teamId, ...named } = body;
      const before = storedLimits((await keyOfAccount(ctx, { accountId, id })).limits);
      const change = {
        ...(name === undefined ? {} : { name }),
        ...(models === undefined ? {} : { models }),
        ...(teamId === undefined ? {} : { teamId }),
        ...(Object.keys(named).length === 0 ? {} : { limits: limitsWith(before, named) }),
      };
      return virtualKey(await changeKey(ctx, caller, { accountId, id, change }));
    },
  }),
  defineRoute({
    name: "revokeVirtualKey",
    method: "delete",
    path: "/key/:id",
    summary: "Revoke an API key",
    about,
    access: ["keys:write", "network:operate"],
    params,
    answer: z
      .object({ key_id: keyIdField, revoked: z.literal(true) })
      .meta({ id: "RevokedVirtualKey" }),
    errors: ["not_found"],
    async handle({ ctx, caller, params: { id } }) {
      const accountId = await accountOfKey(ctx, caller, { id, asked: undefined });
      await revokeKey(ctx, { accountId, id });
      return { key_id: id, revoked: true };
    },
  }),
  defineRoute({
    name: "listSupportedModels",
    method: "get",
    path: "/global/supported",
    summary: "List the names of the models that the key may ask for now",
    about,
    access: "any key",
    answer: z.object({ models: z.array(z.string()) }).meta({ id: "SupportedModels" }),
    async handle({ ctx, caller }) {
      const models = await modelsFor(ctx, caller);
      return { models: [...new Set(models.map(({ id }) => id))] };
    },
  }),
];

function whichKey(): OctoError {
  return new OctoError("invalid_request", "key_id: say which; you come without an API key", {
    param: "key_id",
  });
}

async function generated({ row, key }: ShownKey): Promise<z.infer<typeof generatedKeySchema>> {
  return {
    key,
    key_id: row.id,
    key_uuid: await keyUuid(row.id),
    key_type: typeOf(row.scopes),
    team_id: row.teamId,
    created_at: toSeconds(row.createdAt),
    expires: row.expiresAt === null ? null : toSeconds(row.expiresAt),
  };
}

async function spendOf(ctx: Context, { accountId, id }: ApiKeySummary): Promise<number> {
  await using db = databaseOf(ctx.env);
  const sinceMs = monthStartMs(ctx.startedMs);
  return microsToJson(await spentSince(db, { accountId, sinceMs, of: { keyId: id } }));
}
