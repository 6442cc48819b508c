import { join } from "node:path";
import type { Log } from "../../shared/log.ts";
import type { DeclaredSpeed, Hardware } from "../../shared/protocol/listing.ts";
import { BenchmarkCache } from "../benchmark/benchmark-cache.ts";
import type { Measured } from "../benchmark/open-measured.ts";
import { measureSettings, openMeasured } from "../benchmark/open-measured.ts";
import type { Config, ConfiguredModel } from "../config.ts";
import type { Engine } from "../engine/engine.ts";
import { EngineError } from "../engine/engine.ts";
import { openEngine, openEngineDefaults } from "../engine/open-engine.ts";
import { FreeMemory } from "../hardware/free-memory.ts";
import { ModelError } from "../models/model-error.ts";
import type { OnDownload } from "../models/progress-log.ts";
import { logDownloads } from "../models/progress-log.ts";
import { memoryAllowance } from "../serving/memory-limit.ts";
import { ModelPool } from "../serving/model-pool.ts";

/** A loaded model and the name it is listed under. */
export interface ServedEngine {
  readonly name: string;
  readonly engine: Engine;
  /** What was measured of it on this machine; null where nothing was. */
  readonly speed: DeclaredSpeed | null;
}

/** A model that was asked for and could not be loaded. */
export interface UnservedModel {
  readonly name: string;
  /** A sentence for the provider. */
  readonly reason: string;
}

export interface OpenedEngines extends AsyncDisposable {
  readonly engines: readonly ServedEngine[];
  readonly unserved: readonly UnservedModel[];
  /** Loads and unloads those whose memory is this process' own. */
  readonly pool: ModelPool;
}

/**
 * Half of what a hub waits for a first token, unless it was told otherwise: the other half is for
 * the prompt.
 */
const quickLoadMs = 5_000;

/**
 * Loads every configured model. A later one takes the memory of an earlier one that is not in use
 * where there is not enough for both. One that cannot be loaded is left out where others can; where
 * none can, or one is none at all, what was loaded is given back and the reason thrown.
 */
export async function openEngines(
  config: Config,
  signal: AbortSignal,
  log: Log,
  hardware: Hardware,
  onDownload: OnDownload = logDownloads(log),
): Promise<OpenedEngines> {
  const pool = new ModelPool({ idleMs: config.idleUnloadMs, quickLoadMs }, log);
  const engines: ServedEngine[] = [];
  const unserved: UnservedModel[] = [];
  const dispose = async () => {
    await pool[Symbol.asyncDispose]();
    for (const { engine } of engines) await engine[Symbol.asyncDispose]();
  };
  try {
    const cache = await BenchmarkCache.open(config.stateDir, log);
    const freeMemory = await FreeMemory.start(config.gpu);
    let failure: unknown = null;
    for (const model of config.models) {
      log("info", "Loading", { model: model.name });
      try {
        const parts = { config, hardware, cache, log };
        const opener = new ModelOpener(model, config, pool, { freeMemory, log, onDownload });
        engines.push(await openServed(opener, parts, signal));
      } catch (error) {
        if (signal.aborted || !isOfThisMachine(error)) throw error;
        failure ??= error;
        unserved.push({ name: model.name, reason: error.message });
        log("error", "Not served", { model: model.name, reason: error.message });
      }
    }
    if (engines.length === 0 && failure !== null) throw failure;
  } catch (error) {
    await dispose();
    throw error;
  }
  return { engines, unserved, pool, [Symbol.asyncDispose]: dispose };
}

interface OpenParts {
  readonly config: Config;
  readonly hardware: Hardware;
  readonly cache: BenchmarkCache;
  readonly log: Log;
}

async function measureWith(
  opener: ModelOpener,
  { config, hardware, cache, log }: OpenParts,
  signal: AbortSignal,
): Promise<Measured> {
  const { name, source } = opener.model;
  const open = (slots: number) => opener.openWithRoom(slots, signal);
  const settings = measureSettings(config, hardware);
  return openMeasured({ name, source, open, settings, cache, log }, signal);
}

async function openServed(
  opener: ModelOpener,
  parts: OpenParts,
  signal: AbortSignal,
): Promise<ServedEngine> {
  const { name } = opener.model;
  const { pool } = opener;
  const { engine, speed } = await measureWith(opener, parts, signal);
  const { contextTokens, quantization, slots } = engine.model;
  parts.log("info", "Model", { name, context: contextTokens, quantization, slots });
  // Another process' memory is not ours to give back.
  if (pool === null || engine.stats().memoryBytes === null) return { name, engine, speed };
  const again = async (signal: AbortSignal) => {
    const engine = await opener.open(slots, signal);
    return { engine, loadMs: opener.loadMs };
  };
  const opened = { engine, loadMs: opener.loadMs };
  return { name, engine: pool.add({ name, opened, open: again }), speed };
}

interface OpenerPorts {
  readonly freeMemory: FreeMemory;
  readonly log: Log;
  readonly onDownload: OnDownload;
}

/** Opens one model, as often as it is wanted. */
class ModelOpener {
  readonly model: ConfiguredModel;
  readonly pool: ModelPool | null;
  readonly #config: Config;
  readonly #ports: OpenerPorts;
  /** What a task waited for in the last load, without what was fetched or hashed for it once. */
  loadMs = 0;

  constructor(model: ConfiguredModel, config: Config, pool: ModelPool | null, ports: OpenerPorts) {
    this.model = model;
    this.pool = pool;
    this.#config = config;
    this.#ports = ports;
  }

  async open(slots: number, signal: AbortSignal): Promise<Engine> {
    const { name, source } = this.model;
    const { memory, gpu, draft, stateDir, contextTokensMax, threads } = this.#config;
    const { hubUrl, hubToken } = this.#config;
    const { freeMemory, log, onDownload } = this.#ports;
    const isOurs = source.kind !== "upstream";
    // ONNX models compute on the processor: the cards' memory is none of theirs.
    const place = source.kind === "onnx" ? "none" : gpu;
    const beganMs = performance.now();
    const freeMemoryBytes = isOurs
      ? memoryAllowance(memory, await freeMemory.read(place), this.pool?.heldBytes ?? 0)
      : null;
    let sinceMs = performance.now();
    const readMs = sinceMs - beganMs;
    const engine = await openEngine(
      source,
      {
        ...openEngineDefaults,
        modelsFolder: join(stateDir, "models"),
        slots,
        slotsLeast: this.#config.areSlotsMeasured ? 1 : slots,
        contextTokensMax,
        threads,
        gpu,
        draft,
        chatTemplateFile: this.#config.chatTemplateFile,
        hubUrl,
        hubToken,
        freeMemoryBytes,
        log,
        onDownload: (progress) => {
          sinceMs = performance.now();
          onDownload(name, progress);
        },
        onDigest: () => {
          sinceMs = performance.now();
        },
      },
      signal,
    );
    this.loadMs = readMs + performance.now() - sinceMs;
    return engine;
  }

  /** Where there is no room, models that are not in use make it. */
  async openWithRoom(slots: number, signal: AbortSignal): Promise<Engine> {
    for (;;) {
      try {
        return await this.open(slots, signal);
      } catch (error) {
        if (signal.aborted || !isTooLarge(error)) throw error;
        if ((await this.pool?.makeRoom()) !== true) throw error;
      }
    }
  }
}

function isTooLarge(error: unknown): error is Error {
  if (error instanceof ModelError) return error.code === "does_not_fit";
  return error instanceof EngineError && error.code === "out_of_memory";
}

/** Whether the machine could not, as against a model that is none or cannot be had. */
function isOfThisMachine(error: unknown): error is Error {
  return isTooLarge(error) || error instanceof EngineError;
}
