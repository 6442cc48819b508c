import { join } from "node:path";
import type { Log } from "../../shared/log.ts";
import type { DeclaredSpeed, Hardware } from "../../shared/protocol/listing.ts";
import { BenchmarkCache } from "../benchmark/benchmark-cache.ts";
import { measureSettings, openMeasured } from "../benchmark/open-measured.ts";
import type { Config } from "../config.ts";
import type { Engine } from "../engine/engine.ts";
import { openEngine, openEngineDefaults } from "../engine/open-engine.ts";
import type { DownloadProgress } from "../models/download.ts";

/** A loaded model and the name it is listed under. */
export interface ServedEngine {
  readonly name: string;
  readonly engine: Engine;
  /** What was measured of it on this machine; null where nothing was. */
  readonly speed: DeclaredSpeed | null;
}

export interface OpenedEngines extends AsyncDisposable {
  readonly engines: readonly ServedEngine[];
}

/** Loads every configured model, or none: what was loaded before one fails is given back. */
export async function openEngines(
  config: Config,
  signal: AbortSignal,
  log: Log,
  hardware: Hardware,
): Promise<OpenedEngines> {
  const engines: ServedEngine[] = [];
  const dispose = async () => {
    for (const { engine } of engines) await engine[Symbol.asyncDispose]();
  };
  try {
    const cache = await BenchmarkCache.open(config.stateDir, log);
    const settings = measureSettings(config, hardware);
    for (const { name, source } of config.models) {
      log("info", "Loading", { model: name });
      const open = (slots: number) =>
        openEngine(
          source,
          {
            ...openEngineDefaults,
            modelsFolder: join(config.stateDir, "models"),
            slots,
            contextTokensMax: config.contextTokensMax,
            threads: config.threads,
            gpu: config.gpu,
            hubToken: config.hubToken,
            log,
            onDownload: progressLog(log, `Downloading ${name}`),
          },
          signal,
        );
      const { engine, speed } = await openMeasured(
        { name, source, open, settings, cache, log },
        signal,
      );
      engines.push({ name, engine, speed });
      const { contextTokens, quantization, slots } = engine.model;
      log("info", "Model", { name, context: contextTokens, quantization, slots });
    }
  } catch (error) {
    await dispose();
    throw error;
  }
  return { engines, [Symbol.asyncDispose]: dispose };
}

/** A line every 10 s of a download: nobody wants more of them. */
const progressEveryMs = 10_000;

function progressLog(log: Log, message: string): (progress: DownloadProgress) => void {
  let saidMs = Number.NEGATIVE_INFINITY;
  return ({ receivedBytes, totalBytes, secondsLeft }) => {
    if (performance.now() - saidMs < progressEveryMs) return;
    saidMs = performance.now();
    const mebibytes = Math.round(receivedBytes / 2 ** 20);
    const percent = totalBytes === null ? {} : { percent: percentOf(receivedBytes, totalBytes) };
    const left = secondsLeft === null ? {} : { seconds_left: Math.round(secondsLeft) };
    log("info", message, { mebibytes, ...percent, ...left });
  };
}

function percentOf(part: number, whole: number): number {
  return Math.floor((100 * part) / Math.max(1, whole));
}
