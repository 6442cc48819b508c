import { z } from "zod";
import { databaseOf } from "../../database.ts";
import { ownBooks } from "../../db/ledger/account-books.ts";
import { listOwnTransfers } from "../../db/ledger/ledger-export.ts";
import type { Transfer } from "../../db/ledger/ledger.ts";
import {
  microsField,
  microsToJson,
  pageQuery,
  pageSchema,
  pageToJson,
  timeField,
  timeToJson,
} from "../fields.ts";
import { defineRoute, type Route } from "../route.ts";
import { accountQuery, visibleAccount } from "../visible-account.ts";

const bookField = z.string().nullable();

const transferSchema = z
  .object({
    object: z.literal("transfer"),
    id: z.string(),
    task_id: z.string().nullable(),
    kind: z.string(),
    direction: z.enum(["in", "out", "within"]),
    debit: bookField.meta({
      description: "What gave: yours, the network's, or null for another's",
    }),
    credit: bookField.meta({ description: "What received, likewise" }),
    asset: z.string(),
    amount_micros: microsField,
    reason: z.string().nullable(),
    created_at: timeField,
  })
  .meta({ id: "Transfer", description: "Money that moved into, out of or within an account." });

/** An account's own transfers. */
export const transferRoutes: readonly Route[] = [
  defineRoute({
    name: "listTransfers",
    method: "get",
    path: "/api/v1/transfers",
    summary: "List what moved into, out of and within your account, newest first",
    access: "money:read",
    query: z.strictObject({ ...pageQuery, ...accountQuery }),
    answer: pageSchema(transferSchema).meta({ id: "TransferPage" }),
    errors: ["not_found"],
    async handle({ ctx, caller, query: { account_id: asked, ...page } }) {
      const accountId = visibleAccount(caller, asked);
      await using db = databaseOf(ctx.env);
      const transfers = await listOwnTransfers(db, { accountId, ...page });
      const own = new Set(ownBooks(accountId));
      return pageToJson(transfers, (row) => transferToJson(row, own));
    },
  }),
];

/** A provider does not learn who asked, nor a consumer whose worker it was, from the ledger. */
function transferToJson(row: Transfer, own: ReadonlySet<string>): z.infer<typeof transferSchema> {
  const { debitAccount, creditAccount } = row;
  const shown = (book: string) => (own.has(book) || book.startsWith("system:") ? book : null);
  const isWithin = own.has(debitAccount) && own.has(creditAccount);
  return {
    object: "transfer",
    id: row.id,
    task_id: row.taskId,
    kind: row.kind,
    direction: isWithin ? "within" : own.has(creditAccount) ? "in" : "out",
    debit: shown(debitAccount),
    credit: shown(creditAccount),
    asset: row.asset,
    amount_micros: microsToJson(row.amountMicros),
    reason: row.reason,
    created_at: timeToJson(row.createdAt),
  };
}
