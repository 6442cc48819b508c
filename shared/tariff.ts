import { z } from "zod";
import { toHex } from "./crypto/bytes.ts";
import { canonicalJson, type JsonValue } from "./crypto/jcs.ts";
import { sha256Sync } from "./crypto/sha256-sync.ts";
import { defaultSplit, splitParties } from "./money.ts";
import type { TaskMode } from "./openai/octo-options.ts";

/**
 * What things cost besides the prices of listings. A tariff never changes: it is known by the hash
 * of what it says, which every task keeps, so that whoever has the tariff can compute the bill.
 */

/** Percent of a listing's price: by its mode nothing is free, or over ten times as dear. */
export const factorMin = 1;
export const factorMax = 1_000;

const factor = z.int().min(factorMin).max(factorMax);
const percent = z.int().min(0).max(100);

export const tariffSchema = z.strictObject({
  /** Of two tariffs the one with the higher version counts. */
  version: z.int().min(0).max(Number.MAX_SAFE_INTEGER),
  /** From then on, in milliseconds of Unix time. */
  effective_from: z.int().min(0).max(8_640_000_000_000_000),
  /** What a mode costs, in percent of a listing's price. */
  modes: z.strictObject({ realtime: factor, batch: factor, async: factor }) satisfies z.ZodType<
    Record<TaskMode, number>
  >,
  /** Who gets what of it, in percent. */
  split: z
    .strictObject({
      provider: percent,
      orchestrator: percent,
      treasury: percent,
      burn: percent,
      stakers: percent,
    })
    .refine(
      (split) => splitParties.reduce((sum, party) => sum + split[party], 0) === 100,
      "the parts add up to 100",
    ),
});
export type TariffBody = z.infer<typeof tariffSchema>;

export interface Tariff {
  readonly hash: string;
  readonly body: TariffBody;
}

/** A tariff's canonical JSON (RFC 8785), which its hash is taken of. */
export function canonicalTariff(body: TariffBody): string {
  return canonicalJson(body as JsonValue);
}

/** SHA-256 of a tariff's canonical JSON, in hex. */
export function tariffHash(body: TariffBody): string {
  return toHex(sha256Sync(canonicalTariff(body)));
}

const defaultBody: TariffBody = {
  version: 0,
  effective_from: 0,
  modes: { realtime: 100, batch: 67, async: 40 },
  split: defaultSplit,
};

/** What counts where no other tariff does. */
export const defaultTariff: Tariff = { hash: tariffHash(defaultBody), body: defaultBody };

/** The tariff that counts at a time: the highest version of those that are in effect. */
export function tariffAt(tariffs: readonly Tariff[], nowMs: number): Tariff {
  let counts = defaultTariff;
  for (const tariff of tariffs) {
    const isInEffect = tariff.body.effective_from <= nowMs;
    if (isInEffect && tariff.body.version > counts.body.version) counts = tariff;
  }
  return counts;
}
