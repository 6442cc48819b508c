import { sql } from "drizzle-orm";
import { check, index, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { memberRoles } from "../../../shared/permissions.ts";
import { attestedLevels } from "../../../shared/verification.ts";
import { accounts } from "./registry.ts";
import { whole } from "./columns.ts";

/*
 * Who may act for an account. A person is a public key; what somebody may do is their role in the
 * account at the time of the request, never what a token says.
 */

export const people = sqliteTable("people", {
  /** The person's Ed25519 public key, in base64url. */
  id: text("id").primaryKey(),
  name: text("name").notNull(),
  createdAt: whole("created_at").notNull(),
  lastSeenAt: whole("last_seen_at").notNull(),
});

/** Challenges that were answered, so that none is answered twice. */
export const signIns = sqliteTable(
  "sign_ins",
  {
    nonce: text("nonce").primaryKey(),
    personId: text("person_id").notNull(),
    expiresAt: whole("expires_at").notNull(),
  },
  (table) => [index("sign_ins_by_expiry").on(table.expiresAt)],
);

export const members = sqliteTable(
  "members",
  {
    accountId: text("account_id")
      .notNull()
      .references(() => accounts.id),
    personId: text("person_id")
      .notNull()
      .references(() => people.id),
    role: text("role", { enum: memberRoles }).notNull(),
    createdAt: whole("created_at").notNull(),
    /** The person or the key that let them in; null for who opened the account, or before this. */
    invitedBy: text("invited_by"),
  },
  (table) => [
    primaryKey({ columns: [table.accountId, table.personId] }),
    index("members_by_person").on(table.personId, table.createdAt, table.accountId),
  ],
);

export const invitations = sqliteTable(
  "invitations",
  {
    id: text("id").primaryKey(),
    accountId: text("account_id")
      .notNull()
      .references(() => accounts.id),
    role: text("role", { enum: memberRoles }).notNull(),
    name: text("name").notNull(),
    /** SHA-256 of the secret in the link; the secret itself is shown once. */
    secretHash: text("secret_hash").notNull(),
    createdAt: whole("created_at").notNull(),
    expiresAt: whole("expires_at").notNull(),
    acceptedBy: text("accepted_by"),
    acceptedAt: whole("accepted_at"),
    revokedAt: whole("revoked_at"),
    /** The person or the key that invited; null before this was noted. */
    invitedBy: text("invited_by"),
  },
  (table) => [index("invitations_by_account").on(table.accountId, table.createdAt, table.id)],
);

export const teams = sqliteTable(
  "teams",
  {
    id: text("id").primaryKey(),
    accountId: text("account_id")
      .notNull()
      .references(() => accounts.id),
    name: text("name").notNull(),
    /** Limits of everything in the team together, as JSON; null for none. */
    limits: text("limits", { mode: "json" }),
    createdAt: whole("created_at").notNull(),
    archivedAt: whole("archived_at"),
  },
  (table) => [index("teams_by_account").on(table.accountId, table.createdAt, table.id)],
);

export const projects = sqliteTable(
  "projects",
  {
    id: text("id").primaryKey(),
    accountId: text("account_id")
      .notNull()
      .references(() => accounts.id),
    teamId: text("team_id").references(() => teams.id),
    name: text("name").notNull(),
    limits: text("limits", { mode: "json" }),
    createdAt: whole("created_at").notNull(),
    archivedAt: whole("archived_at"),
  },
  (table) => [
    index("projects_by_account").on(table.accountId, table.createdAt, table.id),
    index("projects_by_team").on(table.teamId),
  ],
);

/** What others have signed about an account. */
export const attestations = sqliteTable(
  "attestations",
  {
    id: text("id").primaryKey(),
    accountId: text("account_id")
      .notNull()
      .references(() => accounts.id),
    level: text("level", { enum: attestedLevels }).notNull(),
    /** The Ed25519 public key that signed it. */
    issuer: text("issuer").notNull(),
    /** The canonical JSON that the signature covers. */
    body: text("body").notNull(),
    signature: text("signature").notNull(),
    createdAt: whole("created_at").notNull(),
    expiresAt: whole("expires_at").notNull(),
    revokedAt: whole("revoked_at"),
  },
  (table) => [
    index("attestations_by_account").on(table.accountId, table.createdAt, table.id),
    check("attestations_level", sql`${table.level} in ('kyc', 'certified')`),
  ],
);
