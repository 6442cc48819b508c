import type { HubDigest } from "../../edge/directory/digest.ts";
import { listingFor } from "../../edge/hub/routing/candidate-facts.ts";
import {
  type Advice,
  createDirectoryState,
  liveDigests,
  placeWorker,
  putDigest,
} from "../../edge/directory/directory-state.ts";
import { Front } from "./front/front.ts";
import { Isolate } from "./account/isolate.ts";
import { Ledger } from "./account/ledger.ts";
import { type Options, treacheries } from "./options.ts";
import { Random } from "./random.ts";
import { models, type Request, requestOf } from "./front/request.ts";
import { epochMs, Schedule } from "./schedule.ts";
import { SimulatedAccount } from "./account/simulated-account.ts";
import { SimulatedHub } from "./hub/simulated-hub.ts";
import { listingOf, SimulatedWorker } from "./worker/simulated-worker.ts";
import { stubId } from "./stubs.ts";
import { Tariffs } from "./account/tariffs.ts";
import { Trace } from "./trace.ts";
import { Treasurer } from "./account/treasurer.ts";
import { Treacherous } from "./worker/treacherous.ts";
import { Truth } from "./truth.ts";
import type { Wire } from "./wire.ts";

/** As in edge/directory/network-view.ts: front Workers ask the directory once a second. */
const viewMs = 1_000;

/** As in edge/routes/network/worker.ts. */
const hubsMax = 3;

/** Everything there is in one run. */
export class World {
  readonly options: Options;
  readonly random: Random;
  readonly schedule = new Schedule();
  readonly trace: Trace;
  readonly truth = new Truth();
  readonly ledger = new Ledger();
  readonly hubs = new Map<string, SimulatedHub>();
  readonly accounts = new Map<string, SimulatedAccount>();
  readonly tariffs = new Tariffs(this);
  readonly workers: SimulatedWorker[] = [];
  readonly fronts: Front[] = [];
  readonly isolates: readonly Isolate[];
  faultsOn = true;
  #directory = createDirectoryState("weur", epochMs);
  #view: { readonly digests: readonly HubDigest[]; readonly atMs: number } | null = null;
  readonly #consumerIds: string[] = [];

  constructor(options: Options, print: ((line: string) => void) | null = null) {
    this.options = options;
    this.random = new Random(options.seed);
    this.trace = new Trace(this.schedule, print);
    this.isolates = [new Isolate(this), new Isolate(this)];
    for (const name of ["a", "b"]) this.#openConsumer(name);
    const heardOf: string[] = [];
    for (let number = 0; number < options.workers; number++) this.#addWorker(number, heardOf);
    if (options.earnersSpend) {
      // Who earns asks as well, and may be served by itself.
      for (const { key } of this.workers) this.#consumerIds.push(this.accountOfWorker(key));
    }
    for (let number = 0; number < options.tasks; number++) this.#addTask(number);
    new Treasurer(this).start();
  }

  #openConsumer(name: string): void {
    const id = `acct_${stubId(name)}`;
    const { creditTight, bursts } = this.options;
    const account = new SimulatedAccount(this, id, creditTight && !bursts ? 4 : 64);
    this.accounts.set(id, account);
    this.#consumerIds.push(id);
    // Tight credit is enough for a few of the dearest tasks at once.
    account.mint(creditTight ? 60_000n : 1_000_000_000n);
  }

  #addWorker(number: number, heardOf: string[]): void {
    const { random, options } = this;
    const offered = random.chance(0.5) ? [random.pick(models)] : models;
    const listings = offered.map((model) =>
      listingOf(model, random.int(1, 3), random.int(0, 5) * 1_000_000),
    );
    const worker = new SimulatedWorker(this, `worker ${number}`, listings);
    if (random.chance(options.byzantineShare)) {
      const kinds = random.some(treacheries, 0.3);
      worker.treachery = new Treacherous(kinds, random, heardOf);
    }
    const accountId = this.accountOfWorker(worker.key);
    this.accounts.set(accountId, new SimulatedAccount(this, accountId, 16));
    this.workers.push(worker);
    this.schedule.after(random.int(0, 500), () => worker.start());
  }

  #addTask(number: number): void {
    const { random, options } = this;
    const request = requestOf(options, random, number, this.#consumerIds);
    // Most come over time, some all at once.
    const early = random.chance(0.2) ? 5_000 : random.int(2_000, options.spanMs);
    // Keys are leased to only while they are busy.
    const atMs = options.bursts ? 5_000 + (early % 5) * 700 + (early % 300) : early;
    this.schedule.after(atMs, () => this.ask(request));
  }

  ask(request: Request): Front {
    this.trace.note("consumer", `${request.id} asks for ${request.model}`);
    const front = new Front(this, request);
    this.fronts.push(front);
    front.start();
    return front;
  }

  account(id: string): SimulatedAccount {
    const account = this.accounts.get(id);
    if (account === undefined) throw new Error(`there is no account ${id}`);
    return account;
  }

  /** The hubs that have workers of an account with a model. */
  ownHubs(accountId: string, model: string): readonly string[] {
    const hubs = [...this.hubs].filter(([, { state }]) =>
      [...state.sessions.values()].some(
        (session) => session.accountId === accountId && listingFor(session, model) !== null,
      ),
    );
    return hubs.map(([id]) => id);
  }

  accountOfWorker(key: string): string {
    return `acct_${stubId(`worker ${key}`)}`;
  }

  /** A hub is made by the first call to it. */
  hub(id: string): SimulatedHub {
    const known = this.hubs.get(id);
    if (known !== undefined) return known;
    const hub = new SimulatedHub(this, id);
    this.hubs.set(id, hub);
    return hub;
  }

  /** As edge/routes/network/worker.ts: three hubs are tried; null where none of them has room. */
  dial(wire: Wire, lastHubId: string | null): SimulatedHub | null {
    const fullHubIds: string[] = [];
    while (fullHubIds.length < hubsMax) {
      const dialled = { lastHubId, fullHubIds };
      const hub = this.hub(placeWorker(this.#directory, dialled, this.schedule.nowMs));
      if (hub.connect(wire)) return hub;
      fullHubIds.push(hub.id);
    }
    return null;
  }

  publish(digest: HubDigest, answered: (advice: Advice) => void): void {
    const delayMs = this.random.delayMs(this.options.delayMs / 4);
    this.schedule.after(delayMs, () => {
      const advice = putDigest(this.#directory, digest, this.schedule.nowMs);
      this.schedule.after(delayMs, () => answered(advice));
    });
  }

  /** What front Workers know of the hubs. */
  view(): readonly HubDigest[] {
    const { nowMs } = this.schedule;
    if (this.#view === null || nowMs - this.#view.atMs > viewMs) {
      this.#view = { digests: liveDigests(this.#directory, nowMs), atMs: nowMs };
    }
    return this.#view.digests;
  }

  resetDirectory(): void {
    this.trace.note("directory", "is reset");
    this.#directory = createDirectoryState("weur", this.schedule.nowMs);
  }

  /** The slots a worker has free as it sees them, or null where the hub cannot be held to that. */
  freeSlots(workerKey: string, sessionId: string): number | null {
    const worker = this.workers.find(({ key }) => key === workerKey);
    if (worker === undefined || worker.treachery !== null || worker.process.isDead) return null;
    const { state, wire } = worker.process;
    if (state.phase.kind !== "serving" || wire?.sessionId !== sessionId) return null;
    return state.phase.credits;
  }
}
