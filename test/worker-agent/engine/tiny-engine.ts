import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LogLevel } from "../../../shared/log.ts";
import type { Engine } from "../../../worker-agent/engine/engine.ts";
import type { OpenEngineOptions } from "../../../worker-agent/engine/open-engine.ts";
import { openEngine, openEngineDefaults } from "../../../worker-agent/engine/open-engine.ts";
import { parseModelSource } from "../../../worker-agent/models/model-source.ts";

export interface TinyEngine extends AsyncDisposable {
  readonly engine: Engine;
  readonly logged: { readonly level: LogLevel; readonly message: string }[];
}

/**
 * The bundled model, or another, in a real engine, with a folder of its own that goes with it.
 */
export async function openTinyEngine(
  options: Partial<OpenEngineOptions> = {},
  model = "octo-tiny",
): Promise<TinyEngine> {
  const modelsFolder = await mkdtemp(join(tmpdir(), "octo-engine-"));
  const logged: { level: LogLevel; message: string }[] = [];
  const settled: OpenEngineOptions = {
    ...openEngineDefaults,
    gpu: "none",
    modelsFolder,
    log: (level, message) => logged.push({ level, message }),
    ...options,
  };
  const source = parseModelSource(model);
  const engine = await openEngine(source, settled, new AbortController().signal);
  return {
    engine,
    logged,
    async [Symbol.asyncDispose]() {
      await engine[Symbol.asyncDispose]();
      await rm(modelsFolder, { recursive: true });
    },
  };
}
