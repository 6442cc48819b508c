import { z } from "zod";
import {
  journalHeadSchema,
  ledgerBalanceSchema,
  ledgerRecordSchema,
} from "../../../shared/ledger-record.ts";
import { databaseOf } from "../../database.ts";
import { exportTransfers } from "../../db/ledger/ledger-export.ts";
import { balances, lastRow } from "../../db/ledger/ledger.ts";
import { accountStatuses } from "../../db/schema/registry.ts";
import { accountBalances } from "./account-balances.ts";
import { accountIdField, timeField, timeToJson, wholeInQuery } from "../fields.ts";
import { knownAccount } from "../known-account.ts";
import { recordToJson } from "../../statements/ledger-record.ts";
import { defineRoute, type Route } from "../route.ts";

/** A page is about 400 kB: a million transfers come in a thousand of them. */
const recordsMax = 1_000;
const rowsMax = 10 ** 15;

const throughField = z.int().meta({
  description: "How many transfers the ledger had: send it to read others of the same moment",
});

const throughQuery = {
  through: wholeInQuery(0, rowsMax)
    .optional()
    .meta({ description: "Leave out what the ledger got after so many transfers" }),
};

const recordPageSchema = z
  .object({
    object: z.literal("list"),
    through: throughField,
    data: z.array(ledgerRecordSchema.meta({ id: "LedgerRecord" })),
    next_cursor: z.string().nullable(),
  })
  .meta({ id: "LedgerRecordPage" });

const balanceListSchema = z
  .object({
    object: z.literal("list"),
    through: throughField,
    data: z.array(ledgerBalanceSchema.meta({ id: "LedgerBalance" })),
  })
  .meta({ id: "LedgerBalanceList" });

const debtSchema = z.object({ account_id: z.string(), since: timeField, tries: z.int() });

const ledgerAccountSchema = z
  .object({
    object: z.literal("ledger.account"),
    account_id: accountIdField,
    status: z.enum(accountStatuses),
    balances: z.array(ledgerBalanceSchema),
    journal: journalHeadSchema.nullable().meta({
      description: "The last transfer that it decided; null where it keeps no journal",
    }),
    held: z.string().meta({ description: "Set aside for tasks that run, in micros" }),
    ledger_pending: z.boolean().meta({
      description: "Whether it has decided transfers that the ledger has not heard of",
    }),
    owed: z.array(debtSchema).meta({
      description:
        "Accounts that could not be told yet what this one gave them, the longest first: 100 at " +
        "most. The ledger has it already",
    }),
  })
  .meta({ id: "LedgerAccount", description: "What an account itself says that it has." });

/** The whole ledger, for those who audit it. */
export const ledgerExportRoutes: readonly Route[] = [
  defineRoute({
    name: "exportTransfers",
    method: "get",
    path: "/api/v1/ledger/transfers",
    summary: "Read every transfer of the ledger, journal by journal",
    about:
      "All pages are of the moment of the first, whatever happens meanwhile. Those of no journal " +
      "come first, then each account's own in the order in which it decided them.",
    access: "network:operate",
    query: z.strictObject({
      cursor: z.string().max(1024).optional(),
      limit: wholeInQuery(1, recordsMax).default(recordsMax),
      ...throughQuery,
    }),
    answer: recordPageSchema,
    async handle({ ctx, query }) {
      await using db = databaseOf(ctx.env);
      const { items, next, through } = await exportTransfers(db, query);
      return { object: "list", through, data: items.map(recordToJson), next_cursor: next };
    },
  }),
  defineRoute({
    name: "listBalances",
    method: "get",
    path: "/api/v1/ledger/balances",
    summary: "Sum every balance of the ledger from its transfers",
    access: "network:operate",
    query: z.strictObject(throughQuery),
    answer: balanceListSchema,
    async handle({ ctx, query }) {
      await using db = databaseOf(ctx.env);
      const through = query.through ?? (await lastRow(db));
      const rows = await balances(db, through);
      return {
        object: "list",
        through,
        data: rows.map(({ account, asset, balanceMicros }) => ({
          book: account,
          asset,
          balance: String(balanceMicros),
        })),
      };
    },
  }),
  defineRoute({
    name: "readLedgerAccount",
    method: "get",
    path: "/api/v1/ledger/accounts/:id",
    summary: "Read what an account itself says that it has",
    access: "network:operate",
    params: z.strictObject({ id: accountIdField }),
    answer: ledgerAccountSchema,
    errors: ["not_found"],
    async handle({ ctx, params: { id } }) {
      const summary = await (await knownAccount(ctx, id)).object.summary();
      return {
        object: "ledger.account",
        account_id: id,
        status: summary.status,
        ...accountBalances(summary),
        held: String(summary.held),
        ledger_pending: !summary.outboxEmpty,
        owed: summary.owed.map(({ accountId, sinceMs, tries }) => {
          return { account_id: accountId, since: timeToJson(sinceMs), tries };
        }),
      };
    },
  }),
];
