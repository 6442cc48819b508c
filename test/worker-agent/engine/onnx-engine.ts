import { join } from "node:path";
import type { Engine } from "../../../worker-agent/engine/engine.ts";
import { openEngine, openEngineDefaults } from "../../../worker-agent/engine/open-engine.ts";
import { parseModelSource } from "../../../worker-agent/models/model-source.ts";
import { scratchFolder } from "../models/scratch-folder.ts";

export const never = new AbortController().signal;

/** Where the models of a test file lie, and how they are opened. */
export interface OnnxPlace extends AsyncDisposable {
  /** A folder for one model. */
  at(name: string): string;
  /** The engine of a folder's model: `options` go behind its name in `--model`. */
  open(folder: string, settings?: object, options?: string): Promise<Engine>;
}

export async function onnxPlace(): Promise<OnnxPlace> {
  const scratch = await scratchFolder();
  const modelsFolder = join(scratch.path, "models");
  const defaults = { ...openEngineDefaults, modelsFolder, threads: 1, log: () => undefined };
  return {
    at: (name) => join(scratch.path, name),
    open(folder, settings = {}, options = "") {
      const source = parseModelSource(`onnx:${folder}${options}`);
      return openEngine(source, { ...defaults, ...settings }, never);
    },
    [Symbol.asyncDispose]: () => scratch[Symbol.asyncDispose](),
  };
}
