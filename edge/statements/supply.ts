import { type Asset, type Bucket, buckets, systemBooks } from "../../shared/assets.ts";
import type { Micros } from "../../shared/money.ts";
import type { Holding, Minted } from "../db/ledger/supply.ts";

type SystemBook = Exclude<keyof typeof systemBooks, "mint" | "burn">;
const systemNames: readonly SystemBook[] = ["orchestrator", "treasury", "stakers", "payouts"];

/**
 * Where all of an asset is: minted − returned − burned = circulating, and that is what accounts and
 * the network have together.
 */
export interface Supply {
  readonly asset: Asset;
  /** What the mint ever gave out. */
  readonly mintedMicros: Micros;
  /** What left the network through the mint again. */
  readonly returnedMicros: Micros;
  readonly burnedMicros: Micros;
  readonly circulatingMicros: Micros;
  /** What all accounts have together. */
  readonly accounts: Readonly<Record<Bucket, Micros>>;
  /** What the network itself has. */
  readonly network: Readonly<Record<SystemBook, Micros>>;
  /** In ledger accounts of any other name. */
  readonly otherMicros: Micros;
  /** What circulates less what is anywhere: 0, or money was made or lost. */
  readonly differenceMicros: Micros;
}

export function supplyOf(
  asset: Asset,
  all: { readonly holdings: readonly Holding[]; readonly minted: readonly Minted[] },
): Supply {
  const own = all.holdings.filter((holding) => holding.asset === asset);
  const at = (place: string) => own.find((holding) => holding.place === place)?.micros ?? 0n;
  const accounts = {
    available: at("available"),
    held: at("held"),
    earned: at("earned"),
    disputed: at("disputed"),
    stake: at("stake"),
  } satisfies Record<Bucket, Micros>;
  const network = {
    orchestrator: at(systemBooks.orchestrator),
    treasury: at(systemBooks.treasury),
    stakers: at(systemBooks.stakers),
    payouts: at(systemBooks.payouts),
  } satisfies Record<SystemBook, Micros>;
  const named = new Set<string>([
    ...buckets,
    ...systemNames.map((name) => systemBooks[name]),
    systemBooks.mint,
    systemBooks.burn,
  ]);
  const otherMicros = sum(own.filter(({ place }) => !named.has(place)).map(({ micros }) => micros));
  const mintedMicros = all.minted.find((minted) => minted.asset === asset)?.micros ?? 0n;
  // What the mint has is what it lacks: it is all there is, with the sign turned.
  const returnedMicros = mintedMicros + at(systemBooks.mint);
  const burnedMicros = at(systemBooks.burn);
  const circulatingMicros = mintedMicros - returnedMicros - burnedMicros;
  const placed = [...Object.values(accounts), ...Object.values(network), otherMicros];
  return {
    asset,
    mintedMicros,
    returnedMicros,
    burnedMicros,
    circulatingMicros,
    accounts,
    network,
    otherMicros,
    differenceMicros: circulatingMicros - sum(placed),
  };
}

function sum(all: readonly Micros[]): Micros {
  return all.reduce((total, micros) => total + micros, 0n);
}
