import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../config.ts";
import type { EngineModel } from "../engine/engine.ts";
import { readGguf } from "../models/gguf.ts";
import { memoryNeed, needInWords } from "../models/memory.ts";
import type { ModelSource } from "../models/model-source.ts";
import { bundledModelPath, storedFileName } from "../models/model-source.ts";
import { inMebibytes } from "./check.ts";

/** What a model takes and of how much; null where its weights are not this process' to read. */
export function memoryInWords(
  source: ModelSource,
  config: Pick<Config, "stateDir">,
  model: Pick<EngineModel, "slots" | "contextTokens" | "weightBytes">,
  freeBytes: number,
): string | null {
  const free = `${inMebibytes(freeBytes)} were free`;
  const path = ggufPath(source, config);
  if (path !== null && existsSync(path)) {
    return `${needInWords(memoryNeed(readGguf(path), model), model)}; ${free}`;
  }
  const { weightBytes } = model;
  return weightBytes === null ? null : `${inMebibytes(weightBytes)} for weights; ${free}`;
}

/** Where a source's GGUF file is, for those that name one. */
function ggufPath(source: ModelSource, { stateDir }: Pick<Config, "stateDir">): string | null {
  if (source.kind === "bundled") return bundledModelPath();
  if (source.kind === "file") return source.path;
  const isFetched = source.kind === "hub" || source.kind === "url";
  return isFetched ? join(stateDir, "models", storedFileName(source)) : null;
}
