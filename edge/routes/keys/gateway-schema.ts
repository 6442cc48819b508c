import { z } from "zod";
import type { Limits } from "../../../shared/limits.ts";
import type { KeyScope } from "../../../shared/permissions.ts";
import { keyUuid } from "../../../shared/spend-event.ts";
import type { ApiKeySummary } from "../../db/people/api-keys.ts";
import { accountIdField, keyIdField, microsField, nameField, teamIdField } from "../fields.ts";
import { modelsField, storedLimits } from "./key-schema.ts";

/** The names that keys and teams have in CipherOcto's gateway specification (RFC-0903). */

const keyTypes = ["default", "llm_api", "management", "read_only"] as const;
type KeyType = (typeof keyTypes)[number];

export const scopesByType: Readonly<Record<KeyType, readonly KeyScope[]>> = {
  default: ["inference", "read-only"],
  llm_api: ["inference"],
  management: ["management"],
  read_only: ["read-only"],
};

/** `LLM_API` and `llm_api` are the same: the specification writes both. */
const keyTypeField = z
  .string()
  .toLowerCase()
  .pipe(z.enum(keyTypes))
  .meta({ description: keyTypes.join(", ") });

/** In our own words: a month's budget, so that a key works again in the next one. */
const limitFields = {
  budget_limit: z
    .int()
    .min(0)
    .max(Number.MAX_SAFE_INTEGER)
    .meta({ description: "Micros a UTC month; null for no limit" }),
  rpm_limit: z.int().min(0).max(1_000_000_000).meta({ description: "Requests a minute" }),
  tpm_limit: z.int().min(0).max(1_000_000_000).meta({ description: "Tokens a minute" }),
};
const { budget_limit: budgetField, rpm_limit: rpmField, tpm_limit: tpmField } = limitFields;

export const generateKeySchema = z
  .strictObject({
    account_id: accountIdField.optional().meta({ description: "For operators: whose" }),
    key_type: keyTypeField.default("default"),
    budget_limit: budgetField.nullish(),
    rpm_limit: rpmField.nullish(),
    tpm_limit: tpmField.nullish(),
    team_id: teamIdField.nullish(),
    models: modelsField.nullish(),
    description: nameField.default("virtual key"),
  })
  .meta({
    id: "GenerateKeyRequest",
    examples: [{ key_type: "llm_api", budget_limit: 5_000_000, rpm_limit: 60 }],
  });

export const updateKeySchema = z
  .strictObject({
    budget_limit: budgetField.nullable().optional(),
    rpm_limit: rpmField.nullable().optional(),
    tpm_limit: tpmField.nullable().optional(),
    team_id: teamIdField.nullable().optional(),
    models: modelsField.nullable().optional(),
    description: nameField.optional(),
  })
  .refine((change) => Object.keys(change).length > 0, "change at least one field")
  .meta({ id: "UpdateKeyRequest", examples: [{ rpm_limit: 120 }] });

const secondsField = z.int().meta({ description: "Unix seconds" });

export const generatedKeySchema = z
  .object({
    key: z.string().meta({ description: "The key itself, shown this once" }),
    key_id: keyIdField,
    key_uuid: z.uuid().meta({ description: "Stands for the key in spend events" }),
    key_type: z.enum(keyTypes),
    team_id: z.string().nullable(),
    created_at: secondsField,
    expires: secondsField.nullable(),
  })
  .meta({ id: "GenerateKeyResponse" });

export const virtualKeySchema = z
  .object({
    key_id: keyIdField,
    key_uuid: z.uuid(),
    key_type: z.enum(keyTypes),
    description: z.string(),
    team_id: z.string().nullable(),
    models: z.array(z.string()).nullable(),
    budget_limit: budgetField.nullable(),
    rpm_limit: rpmField.nullable(),
    tpm_limit: tpmField.nullable(),
    created_at: secondsField,
    expires_at: secondsField.nullable(),
    revoked: z.boolean(),
    revoked_at: secondsField.nullable(),
    rotated_from: keyIdField.nullable(),
  })
  .meta({ id: "VirtualKey" });

export const keyInfoSchema = virtualKeySchema
  .extend({ current_spend: microsField.meta({ description: "Micros in this UTC month" }) })
  .meta({ id: "VirtualKeyInfo" });

export const newTeamSchema = z
  .strictObject({ name: nameField, budget_limit: budgetField.nullish() })
  .meta({ id: "CreateTeamRequest", examples: [{ name: "search", budget_limit: 50_000_000 }] });

export const updateTeamSchema = z
  .strictObject({
    name: nameField.optional(),
    budget_limit: budgetField.nullable().optional(),
  })
  .refine((change) => Object.keys(change).length > 0, "change at least one field")
  .meta({ id: "UpdateTeamRequest", examples: [{ budget_limit: 80_000_000 }] });

export const virtualTeamSchema = z
  .object({
    team_id: z.string(),
    name: z.string(),
    budget_limit: budgetField.nullable(),
    created_at: secondsField,
  })
  .meta({ id: "VirtualTeam" });

export const teamInfoSchema = virtualTeamSchema
  .extend({ current_spend: microsField.meta({ description: "Micros in this UTC month" }) })
  .meta({ id: "VirtualTeamInfo" });

/** Limits by the specification's names; what is not named stays, null takes a limit away. */
interface NamedLimits {
  readonly budget_limit?: number | null | undefined;
  readonly rpm_limit?: number | null | undefined;
  readonly tpm_limit?: number | null | undefined;
}

/** The limits that these names make of those before; null where none is left. */
export function limitsWith(before: Limits | null, named: NamedLimits): Limits | null {
  const limits: Limits = { ...before };
  for (const [ours, value] of [
    ["month_budget_micros", named.budget_limit],
    ["requests_per_minute", named.rpm_limit],
    ["tokens_per_minute", named.tpm_limit],
  ] as const) {
    if (value === undefined) continue;
    if (value === null) delete limits[ours];
    else limits[ours] = value;
  }
  return Object.keys(limits).length === 0 ? null : limits;
}

export function budgetOf(stored: unknown): number | null {
  return storedLimits(stored)?.month_budget_micros ?? null;
}

export async function virtualKey(row: ApiKeySummary): Promise<z.infer<typeof virtualKeySchema>> {
  const limits = storedLimits(row.limits);
  return {
    key_id: row.id,
    key_uuid: await keyUuid(row.id),
    key_type: typeOf(row.scopes),
    description: row.name,
    team_id: row.teamId,
    models: row.models === null ? null : [...row.models],
    budget_limit: budgetOf(row.limits),
    rpm_limit: limits?.requests_per_minute ?? null,
    tpm_limit: limits?.tokens_per_minute ?? null,
    created_at: toSeconds(row.createdAt),
    expires_at: row.expiresAt === null ? null : toSeconds(row.expiresAt),
    revoked: row.revokedAt !== null,
    revoked_at: row.revokedAt === null ? null : toSeconds(row.revokedAt),
    rotated_from: row.replaces,
  };
}

/** The type that says most of what its scopes allow. */
export function typeOf(scopes: readonly KeyScope[]): KeyType {
  if (scopes.includes("management") || scopes.includes("operator")) return "management";
  if (!scopes.includes("inference")) return "read_only";
  return scopes.includes("read-only") ? "default" : "llm_api";
}

export function toSeconds(ms: number): number {
  return Math.floor(ms / 1_000);
}

/** When the UTC month began. */
export function monthStartMs(nowMs: number): number {
  const now = new Date(nowMs);
  return Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1);
}
