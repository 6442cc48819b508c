import { join } from "node:path";
import type { SigningKey } from "../shared/crypto/signing.ts";
import type { Log } from "../shared/log.ts";
import { describeError } from "../shared/log.ts";
import type { Hardware, Listing } from "../shared/protocol/listing.ts";
import { takeOnCommand } from "../shared/protocol/taking-on.ts";
import { isLoopback } from "./cli/setting-forms.ts";
import type { Config } from "./config.ts";
import { bitsPerWeight } from "./engine/bits-per-weight.ts";
import type { Engine } from "./engine/engine.ts";
import type { ConnectionOptions } from "./connection/connection.ts";
import { Connection } from "./connection/connection.ts";
import { logNotice } from "./connection/notice-log.ts";
import type { Random, SessionNotice, SessionStop } from "./connection/session.ts";
import { hardwareOf, readMachine } from "./hardware/machine.ts";
import { createIdentity, loadIdentity, makeStateDir } from "./identity.ts";
import type { Pause } from "./serving/availability.ts";
import { LoadMeter } from "./serving/load-meter.ts";
import type { ModelPool } from "./serving/model-pool.ts";
import { Serving } from "./serving/serving.ts";
import { ControlWatch } from "./state/control-watch.ts";
import { DayTally } from "./state/day-tally.ts";
import { takeLock } from "./state/lock.ts";
import type { AgentStatus } from "./state/status-file.ts";
import { removeStatus, writeStatus } from "./state/status-file.ts";
import { StatusBoard } from "./state/status-board.ts";
import type { AttemptSummary } from "./tasks/attempt.ts";
import type { ServedEngine, UnservedModel } from "./tasks/open-engines.ts";
import type { OnDownload } from "./models/progress-log.ts";
import { openEngines } from "./tasks/open-engines.ts";
import { ReceiptJournal } from "./tasks/receipt-journal.ts";
import { logSummary } from "./tasks/summary-log.ts";
import { TaskRunner } from "./tasks/task-runner.ts";
import { withUpstreams } from "./upstream/find-upstreams.ts";
import { agentName } from "./version.ts";

export type AgentConfig = Pick<
  Config,
  "edge" | "account" | "price" | "classCeiling" | "drainMs" | "availability"
>;

export interface AgentOptions {
  readonly config: AgentConfig;
  readonly key: SigningKey;
  readonly engines: readonly ServedEngine[];
  readonly hardware?: Hardware;
  /** Stays the caller's to dispose of, like the engines. */
  readonly journal: ReceiptJournal;
  /** Loads and unloads those of the engines that can be; null where none can. */
  readonly pool: ModelPool | null;
  readonly tally: DayTally;
  /** Models that were asked for and could not be loaded. */
  readonly unserved?: readonly UnservedModel[];
  /** What the provider asked for, as of now. */
  readonly pause: () => Pause | null;
  readonly log: Log;
  readonly random?: Random;
  readonly onNotice?: (notice: SessionNotice) => void;
  readonly onAttempt?: (summary: AttemptSummary) => void;
}

export interface Agent {
  /** Serves until the worker is drained, aborted or told by the hub not to come back. */
  run(): Promise<SessionStop>;
  /**
   * Takes no more offers and ends once what runs has ended, at the latest after the configured
   * time.
   */
  drain(): void;
  /** Ends at once; answers under way break. */
  abort(): void;
  /** Everything that views and metrics show, as of now. */
  snapshot(): AgentStatus;
}

/** One worker on loaded engines, not started yet. */
export function createAgent(options: AgentOptions): Agent {
  return new AgentParts(options);
}

/** Puts a worker together: what it offers, how it speaks, and what it tells of itself. */
class AgentParts implements Agent {
  readonly #options: AgentOptions;
  readonly #enginesByModel: ReadonlyMap<string, Engine>;
  /** Of everything it can ever offer. */
  readonly #listings: readonly Listing[];
  readonly #board: StatusBoard;
  readonly #serving: Serving;
  readonly #connection: Connection;

  constructor(options: AgentOptions) {
    this.#options = options;
    const { config, engines, key, unserved = [] } = options;
    this.#enginesByModel = new Map(engines.map(({ name, engine }) => [name, engine]));
    this.#listings = engines.map((served) => listingOf(served, config));
    const worker = key.publicKey;
    this.#board = new StatusBoard({ worker, edge: config.edge, engines, unserved });
    this.#serving = this.#createServing();
    this.#connection = this.#createConnection();
    this.#offer();
  }

  async run(): Promise<SessionStop> {
    this.#serving.start();
    try {
      return await this.#connection.run();
    } finally {
      this.#serving.stop();
    }
  }

  drain(): void {
    this.#connection.drain();
  }

  abort(): void {
    this.#connection.abort();
  }

  snapshot(): AgentStatus {
    const { journal, tally } = this.#options;
    return this.#board.status({
      session: this.#connection.state,
      pendingReceipts: journal.pendingCount,
      availability: this.#serving.availability,
      view: (model) => this.#serving.view(model),
      today: tally.tally,
    });
  }

  #offer(): void {
    const { offered } = this.#serving;
    this.#connection.offer(this.#listings.filter(({ model }) => offered.includes(model)));
  }

  #createServing(): Serving {
    const { pool, pause, log, config } = this.#options;
    const meter = new LoadMeter();
    return new Serving({
      enginesByModel: this.#enginesByModel,
      pool,
      availability: config.availability,
      pause,
      readLoad: (work) => meter.read(work),
      log,
      onOffer: () => this.#offer(),
    });
  }

  #createConnection(): Connection {
    const { config, key, journal, tally, log, random, hardware, onNotice } = this.#options;
    const edge = new URL(config.edge);
    return new Connection({
      settings: {
        worker: key.publicKey,
        agent: agentName,
        account: config.account,
        origin: edge.origin,
        isLoopback: isLoopback(edge),
        listings: this.#listings,
        drainMs: config.drainMs,
        ...(hardware === undefined ? {} : { hardware }),
      },
      url: workerUrl(config.edge),
      key,
      journal,
      random: random ?? Math.random,
      onNotice: (notice) => {
        logNotice(log, config.edge, notice);
        this.#board.notice(notice);
        onNotice?.(notice);
      },
      onAcknowledged: (receipt) => tally.acknowledged(receipt),
      createRunner: (ports) => this.#createRunner(ports),
    });
  }

  #createRunner({ send, over }: Parameters<ConnectionOptions["createRunner"]>[0]): TaskRunner {
    const { key, journal, tally, log, onAttempt } = this.#options;
    return new TaskRunner({
      enginesByModel: this.#enginesByModel,
      key,
      journal,
      log,
      send,
      made: (model, tokens) => this.#board.made(model, tokens),
      failed: (model, error) => this.#serving.taskFailed(model, error),
      over: (summary) => {
        logSummary(log, summary);
        this.#board.attempt(summary);
        tally.attempt(summary);
        if (summary.outcome === "complete") this.#serving.taskDone(summary.model);
        over(summary);
        onAttempt?.(summary);
      },
    });
  }
}

/**
 * Where an edge takes workers: `https://edge.example` is dialled as `wss://edge.example/worker`.
 */
export function workerUrl(edge: string): string {
  return `${edge.replace(/\/+$/, "").replace(/^http/, "ws")}/worker`;
}

/** What a worker offers with an engine. */
export function listingOf({ name, engine, speed }: ServedEngine, config: AgentConfig): Listing {
  const { model } = engine;
  return {
    model: name,
    digest: model.digest,
    identity: model.identity,
    engine: engine.kind,
    architecture: model.architecture,
    quantization: model.quantization,
    bits_per_weight: bitsPerWeight(model),
    parameter_count: model.parameterCount,
    context_tokens: model.contextTokens,
    abilities: [...model.abilities],
    slots: model.slots,
    input_micros_per_million: config.price.inputMicrosPerMillion,
    output_micros_per_million: config.price.outputMicrosPerMillion,
    class_ceiling: config.classCeiling,
    speed,
  };
}

export interface RunOptions {
  readonly log: Log;
  /** Aborted to end at once, when draining takes too long. */
  readonly hurry?: AbortSignal;
  /**
   * Loaded engines to serve instead of the configured models; they stay the caller's to dispose of.
   */
  readonly engines?: readonly ServedEngine[];
  readonly onAgent?: (agent: Agent) => void;
  /** Told how models are fetched; without it the log says so. */
  readonly onDownload?: OnDownload;
}

/** `octo-worker status` is at most this old: a live view looks as often. */
const statusEveryMs = 1_000;

/**
 * Runs a worker from its state folder until `signal` drains it, `hurry` ends it or the edge does
 * not want it back. Makes an identity where there is none. Throws IdentityError, LockError,
 * ModelError or EngineError with one sentence where it cannot start.
 */
export async function runAgent(
  config: Config,
  signal: AbortSignal,
  options: RunOptions,
): Promise<SessionStop> {
  const { log } = options;
  await makeStateDir(config.stateDir);
  const lock = await takeLock(config.stateDir);
  const control = await ControlWatch.start(config.stateDir, lock.owner, log);
  const leaving = AbortSignal.any([signal, control.leave]);
  const hurry = AbortSignal.any([control.hurry, ...(options.hurry ? [options.hurry] : [])]);
  try {
    const key = (await loadIdentity(config.stateDir)) ?? (await createIdentity(config.stateDir));
    logIdentity(log, key.publicKey, config.account);
    await using journal = await ReceiptJournal.open(journalPath(config.stateDir), log);
    const hardware = hardwareOf(await readMachine(), config.gpu);
    const tally = await DayTally.open(config.stateDir);
    const parts = { config, key, journal, hardware, tally, control, hurry };
    if (options.engines !== undefined) {
      return await serve({ ...parts, engines: options.engines, pool: null }, leaving, options);
    }
    const all = await withUpstreams(config, leaving, log);
    await using opened = await openEngines(all, leaving, log, hardware, options.onDownload);
    const stopped = await serve({ ...parts, ...opened }, leaving, options);
    // It did as it was told: whatever keeps workers alive must not take that for a failure.
    return control.hurry.aborted && stopped.kind === "aborted" ? { kind: "drained" } : stopped;
  } catch (error) {
    // Told to leave before there was anything to drain.
    if (leaving.aborted) return { kind: "drained" };
    throw error;
  } finally {
    await control[Symbol.asyncDispose]();
    await removeStatus(config.stateDir);
    lock.release();
  }
}

/** Who it is, for whom it earns, and what the owner of an account that it names runs, once. */
function logIdentity(log: Log, worker: string, account: string | null): void {
  if (account === null) return log("info", "Identity", { worker, account: "its own" });
  log("info", "Identity", { worker, account, owner_runs: takeOnCommand(worker) });
}

/** Where the receipts of a state folder are. */
function journalPath(stateDir: string): string {
  return join(stateDir, "receipts.jsonl");
}

async function serve(
  parts: {
    readonly config: Config;
    readonly key: SigningKey;
    readonly journal: ReceiptJournal;
    readonly engines: readonly ServedEngine[];
    readonly unserved?: readonly UnservedModel[];
    readonly pool: ModelPool | null;
    readonly hardware: Hardware;
    readonly tally: DayTally;
    readonly control: ControlWatch;
    readonly hurry: AbortSignal;
  },
  leaving: AbortSignal,
  options: RunOptions,
): Promise<SessionStop> {
  const { log } = options;
  const { hurry, control, tally } = parts;
  const { stateDir } = parts.config;
  const agent = createAgent({ ...parts, pause: () => control.pause, log });
  options.onAgent?.(agent);
  const drain = () => agent.drain();
  const abort = () => agent.abort();
  let writing = Promise.resolve();
  const write = () => {
    writing = writing
      .then(() => writeStatus(stateDir, agent.snapshot()))
      .then(() => tally.write())
      .catch((error: unknown) => {
        log("warn", "Cannot write the status file", { error: describeError(error) });
      });
  };
  const timer = setInterval(write, statusEveryMs);
  write();
  leaving.addEventListener("abort", drain);
  hurry.addEventListener("abort", abort);
  try {
    const stopped = agent.run();
    if (leaving.aborted) agent.drain();
    if (hurry.aborted) agent.abort();
    return await stopped;
  } finally {
    clearInterval(timer);
    write();
    await writing;
    leaving.removeEventListener("abort", drain);
    hurry.removeEventListener("abort", abort);
  }
}
