import { existsSync } from "node:fs";
import { join } from "node:path";
import { describeError } from "../../shared/log.ts";
import type { Config, ConfiguredModel } from "../config.ts";
import { readGguf } from "../models/gguf.ts";
import type { ModelSize } from "../models/memory.ts";
import { assertFits, nearestFit } from "../models/memory.ts";
import { ModelError } from "../models/model-error.ts";
import type { StoredSource } from "../models/hub-source.ts";
import { ModelStore } from "../models/store.ts";
import type { ModelSource } from "../models/model-source.ts";
import { bundledModelPath, storedFileName } from "../models/model-source.ts";
import { readFreeBytes } from "../hardware/free-memory.ts";
import { memoryAllowance } from "../serving/memory-limit.ts";
import { checkFolder } from "./check-folder.ts";
import type { Check } from "./check.ts";

/** Whether each model's file is whole and fits the memory that is free. */
export async function checkModels(config: Config): Promise<Check[]> {
  const freeBytes = memoryAllowance(config.memory, await readFreeBytes(config.gpu), 0);
  return Promise.all(
    config.models.map(({ name, source }) =>
      source.kind === "onnx"
        ? checkFolder(name, source)
        : source.kind === "stored"
          ? checkStored({ name, source }, config, freeBytes)
          : checkModel({ name, source }, config, freeBytes),
    ),
  );
}

/** A kept model is where its entry says. */
async function checkStored(
  { name, source }: Pick<ConfiguredModel, "name"> & { readonly source: StoredSource },
  config: Config,
  freeBytes: number,
): Promise<Check> {
  const store = new ModelStore(join(config.stateDir, "models"));
  const [first] = (await store.get(source.name))?.files ?? [];
  if (first === undefined) {
    const found = `${name}: no model is kept as ${source.name}`;
    return { name: "Model", found, remedy: "keep one with octo-worker models add" };
  }
  return checkModel(
    { name, source: { kind: "file", path: store.pathOf(first) } },
    config,
    freeBytes,
  );
}

type FileModel = Pick<ConfiguredModel, "name"> & {
  readonly source: Exclude<ModelSource, { kind: "onnx" | "stored" }>;
};

function checkModel({ name, source }: FileModel, config: Config, freeBytes: number): Check {
  if (source.kind === "hub-choice") {
    return { name: "Model", found: `${name}: chosen and fetched at the start`, remedy: null };
  }
  const path = pathOf(source, config);
  if (path === null) {
    const found = `${name}: synthetic, for a local network only`;
    return { name: "Model", found, remedy: null };
  }
  if (!existsSync(path)) {
    if (source.kind === "hub" || source.kind === "url") {
      return { name: "Model", found: `${name}: downloaded at the first start`, remedy: null };
    }
    return { name: "Model", found: `${name}: no ${path}`, remedy: "name a file that exists" };
  }
  try {
    const file = readGguf(path);
    const contextTokens = Math.min(file.contextTokens, config.contextTokensMax ?? Infinity);
    const slots = slotsToCheck(file, config, { contextTokens, freeBytes });
    assertFits(file, { slots, contextTokens }, freeBytes);
    const shape = `${slots === 1 ? "1 slot" : `${slots} slots`} of ${contextTokens} tokens`;
    const found = `${name}: ${file.architecture}, ${file.quantization}, ${shape} fit`;
    return { name: "Model", found, remedy: null };
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    const remedy =
      error.code === "does_not_fit"
        ? "choose a smaller model, --slots or --context"
        : "fetch the file again";
    return { name: "Model", found: `${name}: ${describeError(error)}`, remedy };
  }
}

/** Slots that were not asked for may be as few as fit: a start opens no more than that. */
function slotsToCheck(
  file: ModelSize,
  { slots, areSlotsMeasured }: Config,
  { contextTokens, freeBytes }: { readonly contextTokens: number; readonly freeBytes: number },
): number {
  if (!areSlotsMeasured) return slots;
  const nearest = nearestFit(file, { slots, contextTokens }, freeBytes);
  return nearest?.contextTokens === contextTokens ? nearest.slots : 1;
}

type WithPath = Exclude<ModelSource, { kind: "onnx" | "hub-choice" | "stored" }>;

function pathOf(source: WithPath, config: Config): string | null {
  switch (source.kind) {
    // Another server's, which are found when the worker starts.
    case "upstream":
    case "synthetic":
      return null;
    case "bundled":
      return bundledModelPath();
    case "file":
      return source.path;
    case "hub":
    case "url":
      return join(config.stateDir, "models", storedFileName(source));
  }
}
