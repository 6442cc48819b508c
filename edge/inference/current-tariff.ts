import { describeError } from "../../shared/log.ts";
import { type Tariff, tariffAt } from "../../shared/tariff.ts";
import type { Context } from "../context.ts";
import { databaseOf } from "../database.ts";
import { tariffsFrom } from "../db/money/tariffs.ts";
import { edgeLog } from "../log.ts";

/** A new tariff counts everywhere within this, as a key's change does. */
const knownMs = 60_000;
/** From half of that on it is read again while nobody waits. */
const freshMs = 30_000;

interface Known {
  readonly tariffs: readonly Tariff[];
  readonly readMs: number;
}

/** What this isolate knows. Plain data, which its requests may share. */
let known: Known | null = null;
let refreshingSinceMs = 0;

/** The tariff that counts now, as of a minute ago at most. */
export async function currentTariff(ctx: Context): Promise<Tariff> {
  const nowMs = Date.now();
  const ageMs = known === null ? Infinity : nowMs - known.readMs;
  if (known !== null && ageMs < knownMs) {
    if (ageMs > freshMs && nowMs - refreshingSinceMs > freshMs) {
      refreshingSinceMs = nowMs;
      ctx.waitUntil(refresh(ctx));
    }
    return tariffAt(known.tariffs, nowMs);
  }
  return tariffAt(await refresh(ctx), nowMs);
}

/** A new tariff was made on this isolate. */
export function forgetTariffs(): void {
  known = null;
}

async function refresh(ctx: Context): Promise<readonly Tariff[]> {
  const readMs = Date.now();
  try {
    await using db = databaseOf(ctx.env);
    const tariffs = await tariffsFrom(db, readMs);
    known = { tariffs, readMs };
    return tariffs;
  } catch (error) {
    // While the database is away nobody makes tariffs either: those that are known are right.
    if (known === null) throw error;
    edgeLog("warn", "tariffs not read again", { error: describeError(error) });
    return known.tariffs;
  }
}
