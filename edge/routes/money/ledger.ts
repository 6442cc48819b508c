import { z } from "zod";
import { databaseOf } from "../../database.ts";
import { conservation } from "../../db/ledger/current-books.ts";
import {
  checkLedger,
  type LedgerCheck,
  ledgerStanding,
  listChecks,
} from "../../db/ledger/ledger-checks.ts";
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

const faultsField = z
  .array(z.string())
  .meta({ description: "What does not add up, a sentence each" });

const conservationSchema = z
  .object({
    object: z.literal("conservation"),
    conserved: z.boolean().meta({ description: "Whether every sum is zero and nothing is wrong" }),
    assets: z.array(
      z.object({
        asset: z.string(),
        sum_micros: microsField,
        accounts: z.int(),
        transfers: z.int(),
      }),
    ),
    checked_at: timeField.nullable().meta({ description: "When the ledger was last checked" }),
    faults: faultsField,
  })
  .meta({
    id: "Conservation",
    description: "The sum over all balances of the ledger, by asset, and what its checks found.",
  });

const checkSchema = z
  .object({
    object: z.literal("ledger.check"),
    number: z.int(),
    through: z.int().meta({ description: "How many transfers were checked by then" }),
    whole: z.boolean().meta({ description: "Whether all were summed afresh, not only new ones" }),
    faults: faultsField,
    created_at: timeField,
  })
  .meta({ id: "LedgerCheck" });

const newCheckSchema = z
  .strictObject({ whole: z.boolean().default(false) })
  .meta({ id: "NewLedgerCheck", examples: [{ whole: true }] });

/** The books, for operators. */
export const ledgerRoutes: readonly Route[] = [
  defineRoute({
    name: "auditLedger",
    method: "get",
    path: "/api/v1/ledger/conservation",
    summary: "Check that the ledger neither made nor lost money",
    access: "network:operate",
    answer: conservationSchema,
    async handle({ ctx }) {
      await using db = databaseOf(ctx.env);
      const books = await conservation(db);
      const { checkedMs, faults } = await ledgerStanding(db);
      return {
        object: "conservation",
        conserved: faults.length === 0 && books.every(({ sumMicros }) => sumMicros === 0n),
        assets: books.map(({ asset, sumMicros, accounts, transfers }) => ({
          asset,
          sum_micros: microsToJson(sumMicros),
          accounts,
          transfers,
        })),
        checked_at: timeToJson(checkedMs),
        faults: [...faults],
      };
    },
  }),
  defineRoute({
    name: "listLedgerChecks",
    method: "get",
    path: "/api/v1/ledger/checks",
    summary: "List the checks of the ledger, newest first",
    access: "network:operate",
    query: z.strictObject(pageQuery),
    answer: pageSchema(checkSchema).meta({ id: "LedgerCheckPage" }),
    async handle({ ctx, query }) {
      await using db = databaseOf(ctx.env);
      return pageToJson(await listChecks(db, query), checkToJson);
    },
  }),
  defineRoute({
    name: "checkLedger",
    method: "post",
    path: "/api/v1/ledger/checks",
    summary: "Check the ledger now",
    about:
      "A timer does it every five minutes, and sums the whole once a day. Sums, floors, the " +
      "order of every account's journal and the cost of every task are looked at.",
    access: "network:operate",
    body: newCheckSchema,
    status: 201,
    answer: checkSchema,
    errors: ["conflict"],
    async handle({ ctx, body }) {
      await using db = databaseOf(ctx.env);
      return checkToJson(await checkLedger(db, Date.now(), { isWhole: body.whole }));
    },
  }),
];

function checkToJson(row: LedgerCheck): z.infer<typeof checkSchema> {
  return {
    object: "ledger.check",
    number: row.number,
    through: row.through,
    whole: row.isWhole,
    faults: [...row.faults],
    created_at: timeToJson(row.createdAt),
  };
}
