import { defaultTariff, type Tariff, type TariffBody, tariffHash } from "../../../shared/tariff.ts";
import type { World } from "../world.ts";

/** Every tariff of a run, and the one that counts. */
export class Tariffs {
  readonly #world: World;
  readonly #byHash = new Map<string, Tariff>([[defaultTariff.hash, defaultTariff]]);
  current: Tariff = defaultTariff;

  constructor(world: World) {
    this.#world = world;
  }

  make(changes: Pick<TariffBody, "modes" | "split">): void {
    const version = this.current.body.version + 1;
    const body = { ...changes, version, effective_from: this.#world.schedule.nowMs };
    this.current = { hash: tariffHash(body), body };
    this.#byHash.set(this.current.hash, this.current);
    this.#world.truth.count("tariffs made");
    this.#world.trace.note("tariff", `version ${version}`);
  }

  of(hash: string | undefined): TariffBody | null {
    return this.#byHash.get(hash ?? "")?.body ?? null;
  }
}
