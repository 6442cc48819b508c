import { z } from "zod";
import { type Asset, assets } from "../shared/assets.ts";
import type { Micros } from "../shared/money.ts";

/** The least of each asset that leaves the network at once. */
export type WithdrawalMinimums = Readonly<Record<Asset, Micros>>;

/**
 * A whole credit, or token: a claim costs cents on the chains where claims are cheap, and whoever
 * takes less out than it costs to claim has lost it.
 */
const minimumDefault = 1_000_000n;

const form = "a whole number of micros, or a list of ASSET:MICROS with commas between";

/** `2500000` for every asset, or `CREDIT:2500000,OCTO:10000000`; the default for the others. */
export const withdrawalMinimumsSchema = z
  .string()
  .default("")
  .transform((text, ctx): WithdrawalMinimums => {
    const minimums = new Map<string, Micros>();
    for (const entry of text.split(",").filter((one) => one.trim() !== "")) {
      const [, asset, micros] = /^(?:([A-Z-]+):)?(\d{1,15})$/.exec(entry.trim()) ?? [];
      const named = assets.filter((name) => asset === undefined || name === asset);
      if (micros === undefined || named.length === 0 || named.some((name) => minimums.has(name))) {
        ctx.addIssue(form);
        return z.NEVER;
      }
      for (const name of named) minimums.set(name, BigInt(micros));
    }
    const all = assets.map((name) => [name, minimums.get(name) ?? minimumDefault] as const);
    return Object.fromEntries(all) as Record<Asset, Micros>;
  });
