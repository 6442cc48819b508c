import { sql } from "drizzle-orm";
import { check, index, primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import { limitScopes, budgetPeriods } from "../../../shared/limits.ts";
import { accounts } from "./registry.ts";
import { flag, micros, whole } from "./columns.ts";

/*
 * What surrounds the ledger: what things cost, what was warned of, and how money comes in and goes
 * out. The money itself moves by transfers only.
 */

/** Price tables, never changed: the one with the highest version counts. */
export const tariffs = sqliteTable(
  "tariffs",
  {
    /** SHA-256 of the body. */
    hash: text("hash").primaryKey(),
    version: whole("version").notNull(),
    /** Canonical JSON. */
    body: text("body").notNull(),
    createdAt: whole("created_at").notNull(),
  },
  (table) => [
    uniqueIndex("tariffs_by_version").on(table.version),
    check("tariffs_body", sql`json_valid(${table.body})`),
  ],
);

/** A budget that reached 80, 95 or 100 percent. */
export const alerts = sqliteTable(
  "alerts",
  {
    id: text("id").primaryKey(),
    accountId: text("account_id").notNull(),
    scope: text("scope", { enum: limitScopes }).notNull(),
    scopeId: text("scope_id").notNull(),
    period: text("period", { enum: budgetPeriods }).notNull(),
    percent: whole("percent").notNull(),
    spentMicros: micros("spent_micros").notNull(),
    budgetMicros: micros("budget_micros").notNull(),
    createdAt: whole("created_at").notNull(),
  },
  (table) => [index("alerts_by_account").on(table.accountId, table.createdAt, table.id)],
);

/** Money that came in by a signed notice of whoever took it. */
export const deposits = sqliteTable(
  "deposits",
  {
    /** The notice's own id: each counts once. */
    id: text("id").primaryKey(),
    accountId: text("account_id").notNull(),
    asset: text("asset").notNull(),
    amountMicros: micros("amount_micros").notNull(),
    rail: text("rail").notNull(),
    reference: text("reference").notNull(),
    createdAt: whole("created_at").notNull(),
  },
  (table) => [
    index("deposits_by_account").on(table.accountId, table.createdAt, table.id),
    check("deposits_amount", sql`${table.amountMicros} > 0`),
  ],
);

/**
 * Credit that one operator gave alone, written down before it is given: what counts against the
 * four-eyes limit.
 */
export const credits = sqliteTable(
  "credits",
  {
    /** Of the transfer. */
    id: text("id").primaryKey(),
    /** The account of the key that gave it: keys of one account are one operator's. */
    operatorId: text("operator_id").notNull(),
    keyId: text("key_id").notNull(),
    accountId: text("account_id").notNull(),
    asset: text("asset").notNull(),
    amountMicros: micros("amount_micros").notNull(),
    createdAt: whole("created_at").notNull(),
  },
  (table) => [
    // Both carry the amount, so that a sum is read from the index alone.
    index("credits_by_operator").on(
      table.operatorId,
      table.asset,
      table.createdAt,
      table.amountMicros,
    ),
    index("credits_by_account").on(
      table.accountId,
      table.asset,
      table.createdAt,
      table.amountMicros,
    ),
    check("credits_amount", sql`${table.amountMicros} > 0`),
  ],
);

export const approvalStates = ["pending", "approved", "rejected"] as const;

/** What two operators have to agree on. */
export const approvals = sqliteTable(
  "approvals",
  {
    id: text("id").primaryKey(),
    kind: text("kind", { enum: ["mint", "withdrawal", "restore"] }).notNull(),
    accountId: text("account_id").notNull(),
    asset: text("asset").notNull(),
    amountMicros: micros("amount_micros").notNull(),
    reason: text("reason").notNull(),
    /** Key ids; never the same one. */
    requestedBy: text("requested_by").notNull(),
    decidedBy: text("decided_by"),
    state: text("state", { enum: approvalStates }).notNull(),
    createdAt: whole("created_at").notNull(),
    decidedAt: whole("decided_at"),
    /** Whose key asked; null in approvals of before this was noted. */
    requestedAccount: text("requested_account"),
    /** When what was approved had been done. */
    doneAt: whole("done_at"),
  },
  (table) => [
    index("approvals_by_time").on(table.createdAt, table.id),
    index("approvals_undone")
      .on(table.decidedAt)
      .where(sql`${table.state} = 'approved' and ${table.doneAt} is null`),
    check(
      "approvals_four_eyes",
      sql`${table.decidedBy} is null or ${table.decidedBy} <> ${table.requestedBy}`,
    ),
  ],
);

/**
 * Payouts: all that was ever withdrawn up to one, under one Merkle root. The root is empty while
 * the payout is made.
 */
export const payouts = sqliteTable("payouts", {
  id: text("id").primaryKey(),
  asset: text("asset").notNull(),
  root: text("root").notNull(),
  count: whole("count").notNull(),
  totalMicros: micros("total_micros").notNull(),
  createdAt: whole("created_at").notNull(),
});

export const withdrawalStates = ["waiting", "queued", "paid out", "rejected"] as const;

export const withdrawals = sqliteTable(
  "withdrawals",
  {
    id: text("id").primaryKey(),
    accountId: text("account_id")
      .notNull()
      .references(() => accounts.id),
    asset: text("asset").notNull(),
    amountMicros: micros("amount_micros").notNull(),
    /** Where the settlement contract pays it: an EVM address, 0x and 40 hex digits. */
    address: text("address").notNull(),
    state: text("state", { enum: withdrawalStates }).notNull(),
    payoutId: text("payout_id").references(() => payouts.id),
    createdAt: whole("created_at").notNull(),
    updatedAt: whole("updated_at").notNull(),
    /** The key or the person that asked; null before this was noted. */
    requestedBy: text("requested_by"),
    /** The operator's key that let it go; null where it went by itself. */
    approvedBy: text("approved_by"),
    queuedAt: whole("queued_at"),
    /** When the money of a rejected one was seen to be back. */
    returnedAt: whole("returned_at"),
  },
  (table) => [
    index("withdrawals_by_account").on(table.accountId, table.createdAt, table.id),
    index("withdrawals_by_state").on(table.state, table.createdAt, table.id),
    index("withdrawals_by_payout").on(table.payoutId),
    index("withdrawals_queued_by_account").on(table.accountId, table.queuedAt),
    index("withdrawals_queued_by_address").on(table.address, table.queuedAt),
    index("withdrawals_unreturned")
      .on(table.updatedAt)
      .where(sql`${table.state} = 'rejected' and ${table.returnedAt} is null`),
    check("withdrawals_amount", sql`${table.amountMicros} > 0`),
  ],
);

/**
 * What proves a leaf of a payout's tree. The last payout of an asset has all of its leaves here,
 * those before it the ones that they paid themselves.
 */
export const payoutProofs = sqliteTable(
  "payout_proofs",
  {
    payoutId: text("payout_id")
      .notNull()
      .references(() => payouts.id),
    address: text("address").notNull(),
    /** What the address was paid out in all, up to and with the payout. */
    cumulativeMicros: micros("cumulative_micros").notNull(),
    /** The hashes beside the path from the leaf to the root. */
    proof: text("proof", { mode: "json" }).$type<readonly string[]>().notNull(),
    /** Whether the payout itself paid the address something. */
    isPaid: flag("is_paid").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.payoutId, table.address] }),
    check("payout_proofs_proof", sql`json_valid(${table.proof})`),
  ],
);
