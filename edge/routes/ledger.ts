import { z } from "zod";
import { databaseOf } from "../database.ts";
import { conservation } from "../db/ledger.ts";
import { microsField, microsToJson } from "./fields.ts";
import { defineRoute, type Route } from "./route.ts";

const conservationSchema = z
  .object({
    object: z.literal("conservation"),
    conserved: z.boolean().meta({ description: "Whether every sum is zero" }),
    assets: z.array(
      z.object({
        asset: z.string(),
        sum_micros: microsField,
        accounts: z.int(),
        transfers: z.int(),
      }),
    ),
  })
  .meta({ id: "Conservation", description: "The sum over all balances of the ledger, by asset." });

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
      return {
        object: "conservation",
        conserved: books.every(({ sumMicros }) => sumMicros === 0n),
        assets: books.map(({ asset, sumMicros, accounts, transfers }) => ({
          asset,
          sum_micros: microsToJson(sumMicros),
          accounts,
          transfers,
        })),
      };
    },
  }),
];
