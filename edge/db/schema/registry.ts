import { sql } from "drizzle-orm";
import { check, index, real, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import { classes, type Hardware, hardwareTiers } from "../../../shared/protocol/listing.ts";
import type { KeyScope } from "../../../shared/permissions.ts";
import { regions } from "../../../shared/regions.ts";
import { flag, whole } from "./columns.ts";

/*
 * Who is in the network and what they offer. Rows of workers and listings come in batches from
 * hubs, in any order; a foreign key stands only where one batch carries both rows.
 */

export const accountKinds = ["consumer", "provider", "operator", "system"] as const;
export const accountStatuses = ["active", "suspended"] as const;

export const accounts = sqliteTable(
  "accounts",
  {
    id: text("id").primaryKey(),
    kind: text("kind", { enum: accountKinds }).notNull(),
    name: text("name").notNull(),
    status: text("status", { enum: accountStatuses }).notNull(),
    concurrencyMax: whole("concurrency_max").notNull(),
    createdAt: whole("created_at").notNull(),
    /** What its requests ask of routing where they do not say: OctoOptions; null for nothing. */
    routing: text("routing", { mode: "json" }),
    /** What all of the account together may use, as JSON; null for no limit. */
    limits: text("limits", { mode: "json" }),
  },
  (table) => [
    index("accounts_by_time").on(table.createdAt, table.id),
    check("accounts_kind", sql`${table.kind} in ('consumer', 'provider', 'operator', 'system')`),
    check("accounts_status", sql`${table.status} in ('active', 'suspended')`),
    check("accounts_concurrency", sql`${table.concurrencyMax} >= 0`),
  ],
);

export const apiKeys = sqliteTable(
  "api_keys",
  {
    id: text("id").primaryKey(),
    accountId: text("account_id")
      .notNull()
      .references(() => accounts.id),
    name: text("name").notNull(),
    scopes: text("scopes", { mode: "json" })
      .$type<readonly KeyScope[]>()
      .notNull()
      .default(sql`'["inference","read-only"]'`),
    teamId: text("team_id"),
    projectId: text("project_id"),
    env: text("env").notNull(),
    /** HMAC-SHA-256 of the secret under the deployment's pepper, in hex. */
    secretHash: text("secret_hash").notNull(),
    /** The models it may ask for, by name; null for all. */
    models: text("models", { mode: "json" }).$type<readonly string[]>(),
    /** The addresses it may be used from, as CIDR blocks; null for all. */
    addresses: text("addresses", { mode: "json" }).$type<readonly string[]>(),
    /** What it may use, as JSON; null for no limit of its own. */
    limits: text("limits", { mode: "json" }),
    createdAt: whole("created_at").notNull(),
    revokedAt: whole("revoked_at"),
    expiresAt: whole("expires_at"),
    /** When a task was last begun with it, to the minute. */
    lastUsedAt: whole("last_used_at"),
    /** The key that this one replaces. */
    replaces: text("replaces"),
  },
  (table) => [
    index("api_keys_by_account").on(table.accountId, table.createdAt, table.id),
    index("api_keys_by_team").on(table.teamId),
    index("api_keys_by_project").on(table.projectId),
    check("api_keys_scopes", sql`json_valid(${table.scopes})`),
    check("api_keys_id", sql`length(${table.id}) = 8`),
    check("api_keys_secret_hash", sql`length(${table.secretHash}) = 64`),
  ],
);

export const workers = sqliteTable(
  "workers",
  {
    id: text("id").primaryKey(),
    accountId: text("account_id").notNull(),
    region: text("region", { enum: regions }).notNull(),
    agentVersion: text("agent_version").notNull(),
    hub: text("hub").notNull(),
    online: flag("online").notNull(),
    sessionEpoch: whole("session_epoch").notNull(),
    firstSeenAt: whole("first_seen_at").notNull(),
    lastSeenAt: whole("last_seen_at").notNull(),
    /** The machine, by the worker's own word; null where it says nothing. */
    hardware: text("hardware", { mode: "json" }).$type<Hardware>(),
    tier: text("tier", { enum: hardwareTiers }),
  },
  (table) => [
    index("workers_by_account").on(table.accountId, table.firstSeenAt, table.id),
    check("workers_online", sql`${table.online} in (0, 1)`),
  ],
);

export const models = sqliteTable(
  "models",
  {
    digest: text("digest").primaryKey(),
    name: text("name").notNull(),
    architecture: text("architecture").notNull(),
    parameterCount: whole("parameter_count").notNull(),
    quantization: text("quantization").notNull(),
    contextTokens: whole("context_tokens").notNull(),
    firstSeenAt: whole("first_seen_at").notNull(),
  },
  (table) => [check("models_digest", sql`length(${table.digest}) = 64`)],
);

export const listings = sqliteTable(
  "listings",
  {
    id: text("id").primaryKey(),
    workerId: text("worker_id")
      .notNull()
      .references(() => workers.id),
    accountId: text("account_id").notNull(),
    model: text("model").notNull(),
    digest: text("digest").notNull(),
    inputMicrosPerMillion: whole("input_micros_per_million").notNull(),
    outputMicrosPerMillion: whole("output_micros_per_million").notNull(),
    classCeiling: text("class_ceiling", { enum: classes }).notNull(),
    region: text("region", { enum: regions }).notNull(),
    abilities: text("abilities", { mode: "json" }).$type<readonly string[]>().notNull(),
    contextTokens: whole("context_tokens").notNull(),
    quantization: text("quantization").notNull(),
    slots: whole("slots").notNull(),
    engine: text("engine").notNull(),
    online: flag("online").notNull(),
    updatedAt: whole("updated_at").notNull(),
    identity: text("identity", { enum: ["content", "declared"] })
      .notNull()
      .default("declared"),
    bitsPerWeight: real("bits_per_weight"),
    /** By the worker's own word. */
    declaredFirstTokenMs: real("declared_first_token_ms"),
    declaredPromptTokensPerS: real("declared_prompt_tokens_per_s"),
    declaredDecodeTokensPerS: real("declared_decode_tokens_per_s"),
    /** By its hub, from what it was asked. */
    measuredFirstTokenMs: real("measured_first_token_ms"),
    measuredDecodeTokensPerS: real("measured_decode_tokens_per_s"),
    measuredSuccessShare: real("measured_success_share"),
    measuredSamples: whole("measured_samples"),
  },
  (table) => {
    const price = [table.outputMicrosPerMillion, table.inputMicrosPerMillion, table.id] as const;
    return [
      uniqueIndex("listings_by_worker").on(table.workerId, table.model),
      index("listings_by_price").on(...price),
      index("listings_by_model").on(table.model, ...price),
      index("listings_by_digest").on(table.digest, ...price),
      check(
        "listings_class",
        sql`${table.classCeiling} in ('public', 'shared', 'confidential', 'private')`,
      ),
      check("listings_input_price", sql`${table.inputMicrosPerMillion} >= 0`),
      check("listings_output_price", sql`${table.outputMicrosPerMillion} >= 0`),
      check(
        "listings_abilities",
        sql`json_valid(${table.abilities}) and json_type(${table.abilities}) = 'array'`,
      ),
      check("listings_online", sql`${table.online} in (0, 1)`),
    ];
  },
);
