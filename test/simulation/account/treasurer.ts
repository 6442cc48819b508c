import type { PendRequest } from "../../../edge/billing/money/pending-money.ts";
import { bookOf, buckets, systemBooks } from "../../../shared/assets.ts";
import { Random } from "../random.ts";
import type { SimulatedAccount } from "./simulated-account.ts";
import type { World } from "../world.ts";

/**
 * Moves, promises and takes back money of every account while tasks run, asks for the same twice,
 * and changes what things cost. Its chances are its own, so that it changes no other part of a run.
 */
export class Treasurer {
  readonly #world: World;
  readonly #random: Random;
  #count = 0;

  constructor(world: World) {
    this.#world = world;
    this.#random = new Random(2_000_000_000 + world.options.seed);
  }

  start(): void {
    const { moving, repricing } = this.#world.options;
    if (moving) this.#often(300, () => this.#act());
    if (repricing) this.#often(4_000, () => this.#reprice());
  }

  #accounts(): SimulatedAccount[] {
    return [...this.#world.accounts.values()];
  }

  #often(meanMs: number, run: () => void): void {
    this.#world.schedule.after(1 + this.#random.delayMs(meanMs), () => {
      if (!this.#world.faultsOn) return;
      run();
      this.#often(meanMs, run);
    });
  }

  #act(): void {
    const random = this.#random;
    this.#count += 1;
    // One of the last few again, now and then, as who did not hear the answer would.
    const back = random.chance(0.5) ? random.int(1, 20) : 0;
    const number = Math.max(1, this.#count - back);
    const accounts = this.#accounts();
    const account = accounts[number % accounts.length] ?? random.pick(accounts);
    const id = `${account.id} ${number}`;
    const how = random.pick(["move", "pend", "pend", "post", "void"] as const);
    const outcome = this.#perform(account, how, id);
    this.#world.truth.count(`${how}: ${outcome}`);
    this.#world.trace.note("treasurer", `${how} ${id}: ${outcome}`);
  }

  #perform(account: SimulatedAccount, how: "move" | "pend" | "post" | "void", id: string): string {
    const { moves } = account;
    const random = this.#random;
    switch (how) {
      case "move":
        return moves.move({ id, kind: how, reason: null, legs: this.#legs(account) });
      case "pend":
        return moves.pend(this.#pend(account, id));
      case "post":
        return moves.post(id, random.chance(0.5) ? null : BigInt(random.int(0, 4_000)));
      case "void":
        return moves.void(id);
    }
  }

  #legs(account: SimulatedAccount) {
    const random = this.#random;
    const own = () => bookOf(account.id, random.pick(buckets.filter((name) => name !== "held")));
    return Array.from({ length: random.int(1, 3) }, () => {
      const debit = random.chance(0.1) ? systemBooks.mint : own();
      const other = bookOf(random.pick(this.#accounts()).id, random.pick(["available", "earned"]));
      const choices = [own(), ...(debit === systemBooks.mint ? [] : [other, systemBooks.burn])];
      const credit = random.pick(choices.filter((book) => book !== debit).concat(own()));
      const asset = random.chance(0.8) ? ("CREDIT" as const) : ("OCTO" as const);
      const micros = BigInt(random.int(1, 3_000));
      const isCircular = credit === debit;
      return {
        debit: isCircular ? systemBooks.mint : debit,
        credit: isCircular ? own() : credit,
        asset,
        micros,
      };
    });
  }

  #pend(account: SimulatedAccount, id: string): PendRequest {
    const random = this.#random;
    return {
      id,
      kind: "withdrawal",
      reason: null,
      asset: random.chance(0.8) ? "CREDIT" : "OCTO",
      micros: BigInt(random.int(1, 4_000)),
      from: random.pick(["available", "available", "earned", "stake"]),
      credit: random.pick([
        systemBooks.payouts,
        bookOf(random.pick(this.#accounts()).id, "available"),
      ]),
      expiresMs: random.chance(0.5) ? account.nowMs + random.int(1, 20_000) : null,
    };
  }

  /** What listings ask and what modes cost change under tasks that run. */
  #reprice(): void {
    const random = this.#random;
    const worker = random.pick(this.#world.workers);
    if (random.chance(0.5)) {
      const price = random.int(0, 8) * 1_000_000;
      this.#world.trace.note(worker.name, `asks ${price} from now on`);
      const listings = worker.process.state.listings.map((listing) => ({
        ...listing,
        input_micros_per_million: price,
        output_micros_per_million: 4 * price,
      }));
      worker.process.dispatch({ kind: "listings", listings });
      this.#world.truth.count("listings repriced");
      return;
    }
    const provider = random.int(0, 80);
    this.#world.tariffs.make({
      modes: { realtime: random.int(1, 200), batch: random.int(1, 100), async: random.int(1, 50) },
      split: { provider, orchestrator: 5, treasury: 5, burn: 80 - provider, stakers: 10 },
    });
  }
}
