import { z } from "zod";
import { parseAddressBlock } from "../../../shared/addresses.ts";
import { type Limits, limitsSchema } from "../../../shared/limits.ts";
import { keyScopes } from "../../../shared/permissions.ts";
import type { ApiKeySummary } from "../../db/people/api-keys.ts";
import {
  accountIdField,
  keyIdField,
  nameField,
  projectIdField,
  teamIdField,
  timeField,
  timeToJson,
} from "../fields.ts";

/** What a key may be limited to: as many as anybody types, and few enough to look through. */
const listMax = 256;

export const modelsField = z
  .array(z.string().min(1).max(256))
  .min(1)
  .max(listMax)
  .meta({ description: "The models it may ask for, by name or `sha256:` digest; null for all" });

const addressesField = z
  .array(
    z
      .string()
      .max(64)
      .refine(
        (text) => parseAddressBlock(text) !== null,
        "not an address, nor a block of them like 192.0.2.0/24 or 2001:db8::/32",
      ),
  )
  .min(1)
  .max(listMax)
  .meta({ description: "The addresses it may be used from; null for all" });

const expiresField = z.iso.datetime({ offset: true });

export const keySchema = z
  .object({
    object: z.literal("key"),
    id: keyIdField,
    account_id: accountIdField,
    name: z.string(),
    scopes: z.array(z.enum(keyScopes)),
    team_id: z.string().nullable(),
    project_id: z.string().nullable(),
    models: z.array(z.string()).nullable(),
    addresses: z.array(z.string()).nullable(),
    limits: limitsSchema.nullable(),
    replaces: keyIdField.nullable().meta({ description: "The key that this one was made for" }),
    created_at: timeField,
    expires_at: timeField.nullable(),
    revoked_at: timeField.nullable(),
    last_used_at: timeField.nullable().meta({ description: "To the minute" }),
  })
  .meta({ id: "Key", description: "An API key, without its secret." });

const secretField = z
  .string()
  .meta({ description: "The key itself. It is shown this once and not stored" });

export const createdKeySchema = keySchema
  .extend({ key: secretField })
  .meta({ id: "CreatedKey", description: "A new API key with its secret." });

export const rotatedKeySchema = keySchema
  .extend({ key: secretField, replaced: keySchema })
  .meta({ id: "RotatedKey", description: "A new API key with its secret, and the one it is for." });

export const newKeySchema = z
  .strictObject({
    account_id: accountIdField
      .optional()
      .meta({ description: "Whose; the caller's own unless an operator says" }),
    name: nameField,
    scopes: z.array(z.enum(keyScopes)).min(1).default(["inference", "read-only"]),
    team_id: teamIdField.nullish(),
    project_id: projectIdField.nullish(),
    models: modelsField.nullish(),
    addresses: addressesField.nullish(),
    limits: limitsSchema.nullish(),
    expires_at: expiresField.nullish(),
  })
  .meta({
    id: "NewKey",
    examples: [
      {
        name: "laptop",
        scopes: ["inference", "read-only"],
        models: ["octo-tiny"],
        addresses: ["192.0.2.0/24"],
      },
    ],
  });

/** What is not named stays; null takes a limitation away. */
export const keyChangeSchema = z
  .strictObject({
    name: nameField.optional(),
    team_id: teamIdField.nullable().optional(),
    project_id: projectIdField.nullable().optional(),
    models: modelsField.nullable().optional(),
    addresses: addressesField.nullable().optional(),
    limits: limitsSchema.nullable().optional(),
    expires_at: expiresField.nullable().optional(),
  })
  .refine((change) => Object.keys(change).length > 0, "change at least one field")
  .meta({ id: "KeyChange", examples: [{ name: "desk", models: null }] });

/** A day is enough to deploy a new key; a month is the longest that anybody forgets one. */
export const graceField = z
  .int()
  .min(0)
  .max(30 * 86_400)
  .default(86_400)
  .meta({ description: "Seconds for which the old key goes on working; a day unless said" });

export function keyToJson(row: ApiKeySummary): z.infer<typeof keySchema> {
  return {
    object: "key",
    id: row.id,
    account_id: row.accountId,
    name: row.name,
    scopes: [...row.scopes],
    team_id: row.teamId,
    project_id: row.projectId,
    models: row.models === null ? null : [...row.models],
    addresses: row.addresses === null ? null : [...row.addresses],
    limits: storedLimits(row.limits),
    replaces: row.replaces,
    created_at: timeToJson(row.createdAt),
    expires_at: timeToJson(row.expiresAt),
    revoked_at: timeToJson(row.revokedAt),
    last_used_at: timeToJson(row.lastUsedAt),
  };
}

export function storedLimits(stored: unknown): Limits | null {
  return limitsSchema.nullable().parse(stored);
}
