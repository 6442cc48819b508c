import type { Log } from "../../shared/log.ts";
import { describeError } from "../../shared/log.ts";
import type { Engine, EngineError, EngineHealth } from "../engine/engine.ts";
import type {
  Availability,
  AvailabilitySettings,
  AvailabilityState,
  LoadReadings,
  Pause,
} from "./availability.ts";
import { createAvailability, stepAvailability } from "./availability.ts";
import { localWallClock } from "./local-time.ts";
import type { OwnWork } from "./load-meter.ts";
import type { ModelPool } from "./model-pool.ts";
import { Supervisor } from "./supervisor.ts";

export interface ServingOptions {
  readonly enginesByModel: ReadonlyMap<string, Engine>;
  /** The models that this process loads; null where none is unloaded or opened again. */
  readonly pool: ModelPool | null;
  readonly availability: AvailabilitySettings;
  /** What the provider asked for, as of now. */
  readonly pause: () => Pause | null;
  readonly readLoad: (work: OwnWork) => Promise<LoadReadings>;
  readonly log: Log;
  /** Called with the models to offer, whenever they are others than before. */
  readonly onOffer: (models: readonly string[]) => void;
}

/** How one model is, for status and listings. */
export interface ModelView {
  readonly health: EngineHealth;
  readonly isLoaded: boolean;
  /** Why it is not offered, in a sentence; null where it is. */
  readonly notOffered: string | null;
}

/** Looks at the clock, the engines and the machine this often. */
const tickMs = 1_000;
/** Load lasts for seconds before it counts; nvidia-smi itself takes one. */
const readLoadEveryMs = 2_000;

const unread: LoadReadings = { cpu: null, gpu: null };

/** What a worker offers at any moment: what is well, at hand, and wanted by its provider. */
export class Serving {
  readonly #options: ServingOptions;
  readonly #supervisor: Supervisor;
  #availability: AvailabilityState = createAvailability(Date.now());
  #readings: LoadReadings = unread;
  #offered: readonly string[] = [];
  #timers: NodeJS.Timeout[] = [];
  #isReading = false;
  /** Whether a server beside this worker has computed for us since the last look at the load. */
  #hasRunElsewhere = false;

  constructor(options: ServingOptions) {
    this.#options = options;
    const { enginesByModel, pool } = options;
    this.#supervisor = new Supervisor({
      enginesByModel,
      reopen: (model) => {
        if (pool?.has(model) === true) pool.reopen(model);
      },
      onTurn: (model, health, before) => this.#onTurn(model, health, before),
    });
    if (pool !== null) {
      pool.onLoad = (model) => this.#supervisor.tell({ kind: "changed", model });
    }
    // A worker that starts while it is paused never offers anything first.
    this.#stepAvailability();
    this.#offered = this.#toOffer();
  }

  get availability(): Availability {
    return this.#availability.availability;
  }

  get offered(): readonly string[] {
    return this.#offered;
  }

  start(): void {
    this.#timers.push(setInterval(() => this.#tick(), tickMs));
    const { maxLoad, yieldsGpu } = this.#options.availability;
    if (maxLoad === null && !yieldsGpu) return;
    this.#timers.push(setInterval(() => void this.#readLoad(), readLoadEveryMs));
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers = [];
    this.#supervisor.stop();
  }

  taskDone(model: string): void {
    this.#noteTask(model);
    this.#supervisor.tell({ kind: "task-done", model });
  }

  taskFailed(model: string, { code, message }: EngineError): void {
    this.#noteTask(model);
    this.#supervisor.tell({ kind: "task-failed", model, code, message });
  }

  view(model: string): ModelView {
    const { pool, enginesByModel } = this.#options;
    const isPooled = pool?.has(model) === true;
    const isLoaded = isPooled ? pool.isLoaded(model) : enginesByModel.has(model);
    const health = this.#supervisor.health(model);
    const isUnloaded = health.kind !== "failing" && !isLoaded;
    return {
      health: isUnloaded ? { kind: "unloaded" } : health,
      isLoaded,
      notOffered: this.#whyNot(model, health),
    };
  }

  #whyNot(model: string, health: EngineHealth): string | null {
    const { availability } = this;
    if (availability.kind === "closed") return availability.reason;
    if (health.kind === "failing") return health.reason;
    if (this.#options.pool?.isAtHand(model) === false) return "It is being loaded";
    return null;
  }

  #onTurn(model: string, health: EngineHealth, before: EngineHealth): void {
    const { log } = this.#options;
    const wasFailing = before.kind === "failing";
    if (health.kind === "failing") {
      const { reason } = health;
      if (wasFailing) log("debug", "Still withdrawn", { model, reason });
      else log("warn", "Withdrawn", { model, reason });
    } else if (wasFailing) log("info", "Well again", { model });
    this.#offer();
  }

  #tick(): void {
    this.#noteWork();
    this.#supervisor.tell({ kind: "tick" });
    this.#stepAvailability();
    this.#offer();
  }

  #stepAvailability(): void {
    const { availability: settings, log, pool, pause } = this.#options;
    const before = this.availability;
    this.#availability = stepAvailability(this.#availability, settings, {
      nowMs: Date.now(),
      wallClock: localWallClock,
      pause: pause(),
      readings: this.#readings,
    });
    const now = this.availability;
    // A pause and a program that wants the GPU want its memory as well.
    pool?.rest(now.kind === "closed" && (now.cause === "paused" || now.cause === "gpu"));
    if (now === before) return;
    if (now.kind === "open") return log("info", "Open: tasks are taken again");
    const until = now.untilMs === null ? {} : { until: new Date(now.untilMs).toISOString() };
    log("info", "Closed: no tasks are taken", { reason: now.reason, ...until });
  }

  #toOffer(): readonly string[] {
    const models = [...this.#options.enginesByModel.keys()];
    return models.filter((model) => this.view(model).notOffered === null);
  }

  #offer(): void {
    const offered = this.#toOffer();
    const isSame =
      offered.length === this.#offered.length &&
      offered.every((model, at) => this.#offered[at] === model);
    if (isSame) return;
    this.#offered = offered;
    this.#options.onOffer(offered);
  }

  async #readLoad(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      const { isHere, isElsewhere } = this.#ownWork();
      // A reading tells of all the time since the one before it.
      const work = { isHere, isElsewhere: isElsewhere || this.#hasRunElsewhere };
      this.#hasRunElsewhere = isElsewhere;
      const readings = await this.#options.readLoad(work);
      this.#noteWork();
      // What began meanwhile is in it as well.
      this.#readings = this.#hasRunElsewhere ? unread : readings;
    } catch (error) {
      this.#readings = unread;
      this.#options.log("debug", "Cannot read the load", { error: describeError(error) });
    } finally {
      this.#isReading = false;
    }
  }

  #noteWork(): void {
    this.#hasRunElsewhere ||= this.#ownWork().isElsewhere;
  }

  /** One that came and went between two looks. */
  #noteTask(model: string): void {
    const engine = this.#options.enginesByModel.get(model);
    this.#hasRunElsewhere ||= engine?.stats().memoryBytes === null;
  }

  #ownWork(): OwnWork {
    let isHere = false;
    let isElsewhere = false;
    for (const engine of this.#options.enginesByModel.values()) {
      const { running, memoryBytes } = engine.stats();
      if (running === 0) continue;
      if (memoryBytes === null) isElsewhere = true;
      else isHere = true;
    }
    return { isHere, isElsewhere };
  }
}
