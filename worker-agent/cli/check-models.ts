import { existsSync } from "node:fs";
import { freemem } from "node:os";
import { join } from "node:path";
import { describeError } from "../../shared/log.ts";
import type { Config, ConfiguredModel } from "../config.ts";
import { readGguf } from "../models/gguf.ts";
import { assertFits } from "../models/memory.ts";
import { ModelError } from "../models/model-error.ts";
import type { ModelSource } from "../models/model-source.ts";
import { bundledModelPath, storedFileName } from "../models/model-source.ts";
import type { Check } from "./check.ts";

/** Whether each model's file is whole and fits the memory that is free. */
export function checkModels(config: Config): Check[] {
  return config.models.map((model) => checkModel(model, config));
}

function checkModel({ name, source }: ConfiguredModel, config: Config): Check {
  // Its files are read when the worker starts: a folder's parts are many.
  if (source.kind === "onnx") {
    const where = source.place.kind === "hub" ? "fetched and checked" : "checked";
    return { name: "Model", found: `${name}: ONNX, ${where} at the start`, remedy: null };
  }
  if (source.kind === "hub-choice" || source.kind === "stored") {
    const when = source.kind === "stored" ? "kept here, checked" : "chosen and downloaded";
    return { name: "Model", found: `${name}: ${when} at the start`, remedy: null };
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
    assertFits(file, { slots: config.slots, contextTokens }, freemem());
    const shape = `${config.slots} slots of ${contextTokens} tokens`;
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
