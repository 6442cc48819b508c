import { join } from "node:path";
import type { SigningKey } from "../shared/crypto/signing.ts";
import type { Log } from "../shared/log.ts";
import { describeError } from "../shared/log.ts";
import type { Hardware, Listing } from "../shared/protocol/listing.ts";
import { isLoopback } from "./cli/setting-forms.ts";
import type { Config } from "./config.ts";
import { bitsPerWeight } from "./engine/bits-per-weight.ts";
import { Connection } from "./connection/connection.ts";
import { logNotice } from "./connection/notice-log.ts";
import type { Random, SessionNotice, SessionStop } from "./connection/session.ts";
import { hardwareOf, readMachine } from "./hardware/machine.ts";
import { createIdentity, loadIdentity, makeStateDir } from "./identity.ts";
import { takeLock } from "./state/lock.ts";
import type { AgentStatus } from "./state/status-file.ts";
import { removeStatus, writeStatus } from "./state/status-file.ts";
import { StatusBoard } from "./state/status-board.ts";
import type { AttemptSummary } from "./tasks/attempt.ts";
import type { ServedEngine } from "./tasks/open-engines.ts";
import { openEngines } from "./tasks/open-engines.ts";
import { ReceiptJournal } from "./tasks/receipt-journal.ts";
import { logSummary } from "./tasks/summary-log.ts";
import { TaskRunner } from "./tasks/task-runner.ts";
import { agentName } from "./version.ts";

export type AgentConfig = Pick<Config, "edge" | "account" | "price" | "classCeiling" | "drainMs">;

export interface AgentOptions {
  readonly config: AgentConfig;
  readonly key: SigningKey;
  readonly engines: readonly ServedEngine[];
  readonly hardware?: Hardware;
  /** Stays the caller's to dispose of, like the engines. */
  readonly journal: ReceiptJournal;
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
  status(): AgentStatus;
}

/** One worker on loaded engines, not started yet. */
export function createAgent(options: AgentOptions): Agent {
  const { config, key, engines, journal, log } = options;
  const edge = new URL(config.edge);
  const board = new StatusBoard({ worker: key.publicKey, edge: config.edge, engines });
  const settings = {
    worker: key.publicKey,
    agent: agentName,
    account: config.account,
    origin: edge.origin,
    isLoopback: isLoopback(edge),
    listings: engines.map((served) => listingOf(served, config)),
    drainMs: config.drainMs,
    ...(options.hardware === undefined ? {} : { hardware: options.hardware }),
  };
  const enginesByModel = new Map(engines.map(({ name, engine }) => [name, engine]));
  const connection: Connection = new Connection({
    settings,
    url: workerUrl(config.edge),
    key,
    journal,
    random: options.random ?? Math.random,
    onNotice: (notice) => {
      logNotice(log, config.edge, notice);
      board.notice(notice);
      options.onNotice?.(notice);
    },
    createRunner: ({ send, over }) =>
      new TaskRunner({
        enginesByModel,
        key,
        journal,
        log,
        send,
        over: (summary) => {
          logSummary(log, summary);
          board.attempt(summary);
          over(summary);
          options.onAttempt?.(summary);
        },
      }),
  });
  return {
    run: () => connection.run(),
    drain: () => connection.drain(),
    abort: () => connection.abort(),
    status: () => board.status(connection.state, journal.pendingCount),
  };
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
}

/** `octo-worker status` is at most this old. */
const statusEveryMs = 2_000;

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
  try {
    const key = (await loadIdentity(config.stateDir)) ?? (await createIdentity(config.stateDir));
    log("info", "Identity", { worker: key.publicKey, account: config.account ?? "its own" });
    await using journal = await ReceiptJournal.open(journalPath(config.stateDir), log);
    const hardware = hardwareOf(await readMachine(), config.gpu);
    const parts = { config, key, journal, hardware };
    if (options.engines !== undefined) {
      return await serve({ ...parts, engines: options.engines }, signal, options);
    }
    await using opened = await openEngines(config, signal, log, hardware);
    return await serve({ ...parts, engines: opened.engines }, signal, options);
  } catch (error) {
    // Told to leave before there was anything to drain.
    if (signal.aborted) return { kind: "drained" };
    throw error;
  } finally {
    await removeStatus(config.stateDir);
    lock.release();
  }
}

/** Where the receipts of a state folder are. */
export function journalPath(stateDir: string): string {
  return join(stateDir, "receipts.jsonl");
}

async function serve(
  parts: {
    readonly config: Config;
    readonly key: SigningKey;
    readonly journal: ReceiptJournal;
    readonly engines: readonly ServedEngine[];
    readonly hardware: Hardware;
  },
  signal: AbortSignal,
  options: RunOptions,
): Promise<SessionStop> {
  const { log, hurry } = options;
  const { stateDir } = parts.config;
  const agent = createAgent({ ...parts, log });
  options.onAgent?.(agent);
  const drain = () => agent.drain();
  const abort = () => agent.abort();
  let writing = Promise.resolve();
  const write = () => {
    writing = writing
      .then(() => writeStatus(stateDir, agent.status()))
      .catch((error: unknown) => {
        log("warn", "Cannot write the status file", { error: describeError(error) });
      });
  };
  const timer = setInterval(write, statusEveryMs);
  write();
  signal.addEventListener("abort", drain);
  hurry?.addEventListener("abort", abort);
  try {
    const stopped = agent.run();
    if (signal.aborted) agent.drain();
    return await stopped;
  } finally {
    clearInterval(timer);
    await writing;
    signal.removeEventListener("abort", drain);
    hurry?.removeEventListener("abort", abort);
  }
}
