import type { Log } from "../../shared/log.ts";
import type { DeclaredSpeed, Hardware } from "../../shared/protocol/listing.ts";
import type { Config } from "../config.ts";
import type { Engine } from "../engine/engine.ts";
import { EngineError } from "../engine/engine.ts";
import { fingerprintOf } from "../hardware/machine.ts";
import { ModelError } from "../models/model-error.ts";
import type { ModelSource } from "../models/model-source.ts";
import { version } from "../version.ts";
import type { Benchmark } from "./benchmark.ts";
import { bestSlots, declaredSpeed, threeDigits } from "./benchmark.ts";
import type { BenchmarkCache } from "./benchmark-cache.ts";
import { keyOf } from "./benchmark-cache.ts";
import { benchmarkBudgetMs, runBenchmark } from "./run-benchmark.ts";

/** What decides how a model is measured, and so which measurements are of the same thing. */
export interface MeasureSettings {
  /** `auto` measures what is not in the cache, `always` everything, `never` nothing. */
  readonly benchmark: "auto" | "always" | "never";
  /** Given by the provider; null lets the measurement choose. */
  readonly slots: number | null;
  /** Where they are not given, before anything was measured. */
  readonly slotsUnmeasured: number;
  readonly threads: number;
  readonly contextTokensMax: number | null;
  readonly gpu: "auto" | "none";
  /** The source of the model that guesses ahead. */
  readonly draft: string | null;
  /** See `fingerprintOf`. */
  readonly machine: string;
  /** The memory of its graphics processors together; 0 where there are none. */
  readonly gpuBytes: number;
}

/** How this worker's models are measured on this machine. */
export function measureSettings(config: Config, hardware: Hardware): MeasureSettings {
  const { benchmark, slots, areSlotsMeasured, threads, contextTokensMax, gpu, draft } = config;
  return {
    benchmark,
    slots: areSlotsMeasured ? null : slots,
    slotsUnmeasured: slots,
    threads,
    contextTokensMax,
    gpu,
    draft: draft === null ? null : JSON.stringify(draft),
    machine: fingerprintOf(hardware),
    gpuBytes: hardware.gpus.reduce((sum, card) => sum + card.memory_bytes, 0),
  };
}

/** What is known of an engine that is open, or null. */
export function findMeasured(
  engine: Engine,
  settings: MeasureSettings,
  cache: BenchmarkCache,
): Benchmark | null {
  return cache.find(entryKey(engine, settings))?.benchmark ?? null;
}

export interface MeasureOptions {
  readonly name: string;
  readonly source: ModelSource;
  /** Opens the model with so many slots. */
  readonly open: (slots: number) => Promise<Engine>;
  readonly settings: MeasureSettings;
  readonly cache: BenchmarkCache;
  readonly log: Log;
  /** The usual time, on this process' clock, unless given. */
  readonly budgetMs?: number;
  readonly nowMs?: () => number;
}

export interface Measured {
  readonly engine: Engine;
  readonly speed: DeclaredSpeed | null;
  readonly benchmark: Benchmark | null;
}

/** A processor's cores are few: more streams than this never helped one. */
const slotsTriedOnCpu = 8;
/** Each slot takes memory for its context, and cards gain little beyond. */
const slotsTriedOnGpu = 16;
/** Another server's memory is its own matter, and those made for many batch many. */
const slotsTriedElsewhere = 32;

/**
 * Opens a model with the slots that suit this machine, and tells how fast it is: from the cache
 * where it was measured before. Made-up answers have no speed, so a synthetic model is not
 * measured, whatever the settings say.
 */
export async function openMeasured(
  options: MeasureOptions,
  signal: AbortSignal,
): Promise<Measured> {
  const { settings, cache, source } = options;
  const { benchmark: mode, slots } = settings;
  if (source.kind === "synthetic") {
    const engine = await options.open(slots ?? settings.slotsUnmeasured);
    return { engine, speed: null, benchmark: null };
  }
  const known = mode === "always" ? null : cache.bestSlotsOf(sourceKey(options));
  let engine = await openWith(options, known);
  let isOpen = true;
  const reopen = async (open: () => Promise<Engine>) => {
    isOpen = false;
    await engine[Symbol.asyncDispose]();
    engine = await open();
    isOpen = true;
  };
  try {
    const entry = mode === "always" ? null : cache.find(entryKey(engine, settings));
    const isNew = entry === null && mode !== "never";
    // The file is another one than the slots were measured for.
    if (isNew && slots === null && known !== null) await reopen(() => openWith(options, null));
    const room = isNew && slots === null ? slotsOnCards(engine, settings) : engine.model.slots;
    if (room < engine.model.slots) await reopen(() => openWith(options, room));
    const found = isNew ? await measure(engine, options, signal) : (entry?.benchmark ?? null);
    if (isNew && found !== null) await keep(engine, found, options);
    const most = engine.model.slots;
    const wanted = found === null ? settings.slotsUnmeasured : bestSlots(found);
    const fit = slots ?? Math.min(most, wanted);
    // The slots that do not help give their memory back.
    if (fit < most) await reopen(() => options.open(fit));
    const speed = found === null ? null : declaredSpeed(found, engine.model.slots);
    return { engine, speed, benchmark: found };
  } catch (error) {
    if (isOpen) await engine[Symbol.asyncDispose]();
    throw error;
  }
}

/** What the desktop and the driver need of a card besides. */
const cardsShare = 0.9;

/**
 * How many of an open engine's slots have their context on the cards beside the weights. More would
 * be kept in main memory, at a tenth of the speed, and all of them be measured so.
 */
function slotsOnCards(engine: Engine, { gpuBytes, slotsUnmeasured }: MeasureSettings): number {
  const { slots, weightBytes } = engine.model;
  const { memoryBytes } = engine.stats();
  if (gpuBytes === 0 || memoryBytes === null || weightBytes === null) return slots;
  const bytesPerSlot = (memoryBytes - weightBytes) / slots;
  const room = cardsShare * gpuBytes - weightBytes;
  if (bytesPerSlot <= 0 || bytesPerSlot * slots <= room) return slots;
  // Weights that do not fit either leave nothing to keep together.
  const fit = room > 0 ? Math.floor(room / bytesPerSlot) : slotsUnmeasured;
  return Math.max(1, Math.min(slots, fit));
}

/** With the slots given or known to be best; else with as many as are tried and fit. */
async function openWith(options: MeasureOptions, known: number | null): Promise<Engine> {
  const { slots, slotsUnmeasured, benchmark, gpuBytes } = options.settings;
  if (slots !== null) return options.open(slots);
  const isElsewhere = options.source.kind === "upstream";
  const ofMachine = gpuBytes > 0 ? slotsTriedOnGpu : slotsTriedOnCpu;
  const tried = isElsewhere ? slotsTriedElsewhere : ofMachine;
  let most = known ?? (benchmark === "never" ? slotsUnmeasured : tried);
  for (;;) {
    try {
      return await options.open(most);
    } catch (error) {
      if (most === 1 || !isTooLarge(error)) throw error;
      most = Math.floor(most / 2);
    }
  }
}

function isTooLarge(error: unknown): boolean {
  if (error instanceof ModelError) return error.code === "does_not_fit";
  return error instanceof EngineError && error.code === "out_of_memory";
}

async function measure(
  engine: Engine,
  { name, log, nowMs, budgetMs = benchmarkBudgetMs }: MeasureOptions,
  signal: AbortSignal,
): Promise<Benchmark | null> {
  log("info", "Measuring", { model: name, seconds_at_most: Math.ceil(budgetMs / 1_000) });
  const onStep = (step: string) => log("debug", "Measuring", { model: name, step });
  try {
    const found = await runBenchmark(engine, signal, {
      budgetMs,
      onStep,
      ...(nowMs === undefined ? {} : { nowMs }),
    });
    if (found === null) {
      log("warn", "Not measured: no answer came in time", { model: name });
      return null;
    }
    log("info", "Measured", fieldsOf(name, found));
    if (found.contextFault !== null) {
      const { contextTokens, contextFault } = found;
      log("warn", "Long prompts fail", { model: name, works: contextTokens, error: contextFault });
    }
    if (found.loadFault !== null) {
      const works = found.curve.at(-1)?.streams ?? 1;
      log("warn", "Many tasks at once fail", { model: name, works, error: found.loadFault });
    }
    return found;
  } catch (error) {
    // Serving is still worth a try: a worker that measures nothing is measured by the hub.
    if (signal.aborted || !(error instanceof EngineError)) throw error;
    log("warn", "Not measured: a task failed", { model: name, error: error.message });
    return null;
  }
}

function fieldsOf(model: string, found: Benchmark) {
  const speed = `${threeDigits(found.perSecond)} ${found.unit}/s`;
  const best = Math.max(...found.curve.map(({ perSecond }) => perSecond));
  return {
    model,
    first_ms: threeDigits(found.firstMs),
    prompt_tokens_per_s: threeDigits(found.promptTokensPerS),
    alone: speed,
    together: `${threeDigits(best)} ${found.unit}/s`,
    best_slots: bestSlots(found),
    context_tested: found.contextTokens,
    seconds: threeDigits(found.tookMs / 1_000),
  };
}

async function keep(engine: Engine, benchmark: Benchmark, options: MeasureOptions): Promise<void> {
  await options.cache.put({
    key: entryKey(engine, options.settings),
    source: sourceKey(options),
    best_slots: options.settings.slots === null ? bestSlots(benchmark) : null,
    benchmark,
  });
}

/** What is opened, as its settings name it: enough to guess by, before its digest is known. */
function sourceKey({ source, settings }: MeasureOptions): string {
  return keyOf({ source: JSON.stringify(source), ...settingsKey(settings) });
}

/** The version of the worker stands for that of the engine inside it. */
function entryKey(engine: Engine, settings: MeasureSettings): string {
  const { digest, contextTokens } = engine.model;
  return keyOf({ digest, contextTokens, engine: engine.kind, version, ...settingsKey(settings) });
}

function settingsKey(settings: MeasureSettings) {
  const { slots, threads, contextTokensMax, gpu, draft, machine } = settings;
  return { slots, threads, contextTokensMax, gpu, draft, machine };
}
