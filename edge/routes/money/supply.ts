import { z } from "zod";
import { assets } from "../../../shared/assets.ts";
import { OctoError } from "../../../shared/errors.ts";
import { databaseOf } from "../../database.ts";
import { holdings } from "../../db/ledger/supply.ts";
import { type Supply, supplyOf } from "../../statements/supply.ts";
import { microsField, microsToJson } from "../fields.ts";
import { defineRoute, type Route } from "../route.ts";

const supplySchema = z
  .object({
    object: z.literal("supply"),
    asset: z.enum(assets),
    minted_micros: microsField.meta({ description: "All that was ever given out" }),
    returned_micros: microsField.meta({ description: "Of it, what left the network again" }),
    burned_micros: microsField,
    circulating_micros: microsField.meta({ description: "minted − returned − burned" }),
    accounts: z
      .object({
        available_micros: microsField,
        held_micros: microsField,
        earned_micros: microsField,
        disputed_micros: microsField,
        stake_micros: microsField,
      })
      .meta({ description: "What all accounts have together" }),
    orchestrator_micros: microsField,
    treasury_micros: microsField,
    stakers_micros: microsField,
    payouts_micros: microsField.meta({ description: "On its way out" }),
    other_micros: microsField,
    difference_micros: microsField.meta({
      description: "What circulates less what is anywhere: 0, or money was made or lost",
    }),
  })
  .meta({ id: "Supply", description: "Where all of an asset is, by the ledger's transfers." });

const supplyListSchema = z
  .object({ object: z.literal("list"), data: z.array(supplySchema) })
  .meta({ id: "SupplyList" });

/** How much there is of what, for everybody. */
export const supplyRoutes: readonly Route[] = [
  defineRoute({
    name: "listSupply",
    method: "get",
    path: "/api/v1/supply",
    summary: "Read how much there is of every asset, and where",
    access: "any key",
    answer: supplyListSchema,
    async handle({ ctx }) {
      await using db = databaseOf(ctx.env);
      const all = await holdings(db);
      return { object: "list", data: assets.map((asset) => supplyToJson(supplyOf(asset, all))) };
    },
  }),
  defineRoute({
    name: "readSupply",
    method: "get",
    path: "/api/v1/supply/:asset",
    summary: "Read how much there is of an asset, and where",
    access: "any key",
    params: z.strictObject({ asset: z.string().max(100) }),
    answer: supplySchema,
    errors: ["not_found"],
    async handle({ ctx, params }) {
      const asset = assets.find((name) => name === params.asset);
      if (asset === undefined) {
        throw new OctoError("not_found", `There is no such asset: there are ${assets.join(", ")}`);
      }
      await using db = databaseOf(ctx.env);
      return supplyToJson(supplyOf(asset, await holdings(db)));
    },
  }),
];

function supplyToJson(supply: Supply): z.infer<typeof supplySchema> {
  const { accounts, network } = supply;
  return {
    object: "supply",
    asset: supply.asset,
    minted_micros: microsToJson(supply.mintedMicros),
    returned_micros: microsToJson(supply.returnedMicros),
    burned_micros: microsToJson(supply.burnedMicros),
    circulating_micros: microsToJson(supply.circulatingMicros),
    accounts: {
      available_micros: microsToJson(accounts.available),
      held_micros: microsToJson(accounts.held),
      earned_micros: microsToJson(accounts.earned),
      disputed_micros: microsToJson(accounts.disputed),
      stake_micros: microsToJson(accounts.stake),
    },
    orchestrator_micros: microsToJson(network.orchestrator),
    treasury_micros: microsToJson(network.treasury),
    stakers_micros: microsToJson(network.stakers),
    payouts_micros: microsToJson(network.payouts),
    other_micros: microsToJson(supply.otherMicros),
    difference_micros: microsToJson(supply.differenceMicros),
  };
}
