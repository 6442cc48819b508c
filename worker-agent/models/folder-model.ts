import { createHash } from "node:crypto";
import { access, readFile } from "node:fs/promises";
import { join, posix } from "node:path";
import type { z } from "zod";
import { canonicalJson } from "../../shared/crypto/jcs.ts";
import type { DigestOptions } from "./digest.ts";
import { fileDigest } from "./digest.ts";
import * as config from "./folder-config.ts";
import { readGraph } from "./folder-graph.ts";
import type { Dtype, FolderSource, FolderTask, Pooling } from "./folder-source.ts";
import { dtypes, suffixByDtype } from "./folder-source.ts";
import { ModelError } from "./model-error.ts";

/** The small files that a model may have beside its graphs; the first two it must have. */
export const requiredFiles = ["config.json", "tokenizer.json"] as const;
export const optionalFiles = [
  "tokenizer_config.json",
  "special_tokens_map.json",
  "preprocessor_config.json",
  "processor_config.json",
  "generation_config.json",
  "modules.json",
  "sentence_bert_config.json",
  "config_sentence_transformers.json",
  "1_Pooling/config.json",
] as const;

/** A model in a folder, as its files describe it. */
export interface FolderModel {
  readonly folder: string;
  readonly task: FolderTask;
  readonly dtype: Dtype;
  /** Where the graphs lie in the folder: `onnx`, or nothing where they lie at its top. */
  readonly subfolder: "" | "onnx";
  readonly architecture: string;
  /** Null where no file tells. */
  readonly contextTokens: number | null;
  /** Null where the files leave it open. */
  readonly pooling: Pooling | null;
  readonly isNormalized: boolean;
  readonly shorterLengths: readonly number[];
  readonly labels: readonly string[];
  readonly isMultiLabel: boolean;
  readonly parameterCount: number;
  readonly weightBytes: number;
  /** Every file that it uses, as paths from the folder with slashes, in order. */
  readonly files: readonly string[];
}

type Wish = Pick<FolderSource, "task" | "dtype" | "pooling">;

/** Reads a model's folder. Throws ModelError `bad_file` with what is missing or wrong. */
export async function readFolder(folder: string, wish: Wish): Promise<FolderModel> {
  const small: string[] = [];
  for (const file of [...requiredFiles, ...optionalFiles]) {
    if (await exists(join(folder, file))) small.push(file);
    else if (requiredFiles.some((one) => one === file)) fail(folder, `it has no ${file}`);
  }
  const facts = await readFacts(folder);
  const graphs = graphNames(facts.config);
  const chosen = await chooseGraphs(graphs, wish.dtype, (file) => exists(join(folder, file)));
  if (chosen === null) fail(folder, missingGraphs(graphs, wish.dtype));
  const weights = await readWeights(folder, chosen);
  const task = wish.task ?? config.taskOf(facts);
  if (task === null) {
    fail(folder, "its config.json does not tell the task; add #embeddings, say, to its name");
  }
  return {
    folder,
    task,
    dtype: chosen.dtype,
    subfolder: chosen.subfolder,
    architecture: (facts.config.model_type ?? "unknown").slice(0, 64),
    contextTokens: config.contextOf(facts),
    pooling: wish.pooling ?? config.poolingOf(facts),
    isNormalized: config.isNormalized(facts),
    shorterLengths: config.shorterLengths(facts),
    labels: config.labelsOf(facts.config),
    isMultiLabel: facts.config.problem_type === "multi_label_classification",
    ...weights,
    files: [...small, ...weights.files].sort(),
  };
}

/** SHA-256 over the canonical JSON of every file's path and SHA-256. */
export async function folderDigest(
  { folder, files }: Pick<FolderModel, "folder" | "files">,
  options: Omit<DigestOptions, "onProgress">,
): Promise<string> {
  const digests: Record<string, string> = {};
  for (const file of files) digests[file] = await fileDigest(join(folder, file), options);
  return createHash("sha256").update(canonicalJson(digests)).digest("hex");
}

export interface ChosenGraphs {
  readonly dtype: Dtype;
  readonly subfolder: "" | "onnx";
  /** Paths from the folder. */
  readonly files: readonly string[];
}

/** The graphs of the wished form, else of the most exact one that is there whole. */
export async function chooseGraphs(
  names: readonly string[],
  wished: Dtype | null,
  has: (file: string) => Promise<boolean>,
): Promise<ChosenGraphs | null> {
  for (const dtype of wished === null ? dtypes : [wished]) {
    for (const subfolder of ["onnx", ""] as const) {
      const files = names.map((name) =>
        posix.join(subfolder, `${name}${suffixByDtype[dtype]}.onnx`),
      );
      const found = await Promise.all(files.map(has));
      if (found.every(Boolean)) return { dtype, subfolder, files };
    }
  }
  return null;
}

/** The graphs a model consists of, as transformers.js names them. */
export function graphNames(of: config.ModelConfig): readonly string[] {
  return config.isSpeechWriter(of) ? ["encoder_model", "decoder_model_merged"] : ["model"];
}

export function missingGraphs(names: readonly string[], wished: Dtype | null): string {
  const suffix = wished === null ? "" : suffixByDtype[wished];
  const files = names.map((name) => `onnx/${name}${suffix}.onnx`).join(" and ");
  return `it has no ${files}${wished === null ? " in any form" : ""}`;
}

/** The files that hold a graph's weights beside it, as paths from the model's folder. */
export function externalFiles(folder: string, graph: string): string[] {
  return readGraph(join(folder, graph)).externalFiles.map((file) => {
    const path = posix.normalize(posix.join(posix.dirname(graph), file));
    if (path.startsWith("..") || posix.isAbsolute(file) || file.includes("\\")) {
      fail(folder, `${graph} has its weights outside of it, at ${file}`);
    }
    return path;
  });
}

/** Reads one of the small files; null where it is missing. */
export async function readJson<Schema extends z.ZodType>(
  folder: string,
  file: string,
  schema: Schema,
): Promise<z.infer<Schema> | null> {
  let text: string;
  try {
    text = await readFile(join(folder, file), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new ModelError("bad_file", `Cannot use the model in ${folder}: ${file} is no JSON`, {
      cause,
    });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  return fail(folder, `${file} is wrong at ${issue?.path.join(".")}: ${issue?.message}`);
}

async function readFacts(folder: string): Promise<config.FolderFacts> {
  const read = <Schema extends z.ZodType>(file: string, schema: Schema) =>
    readJson(folder, file, schema);
  return {
    config: (await read("config.json", config.configSchema)) ?? {},
    tokenizer: await read("tokenizer_config.json", config.tokenizerConfigSchema),
    sentence: await read("sentence_bert_config.json", config.sentenceConfigSchema),
    modules: await read("modules.json", config.modulesSchema),
    kind: await read("config_sentence_transformers.json", config.kindSchema),
    pooling: await read("1_Pooling/config.json", config.poolingSchema),
  };
}

async function readWeights(
  folder: string,
  { files, dtype }: ChosenGraphs,
): Promise<Pick<FolderModel, "parameterCount" | "weightBytes" | "files">> {
  let [parameterCount, weightBytes] = [0, 0];
  const all: string[] = [];
  for (const graph of files) {
    const { elements, byteElements, bytes } = readGraph(join(folder, graph));
    // Four-bit weights lie two in a byte.
    const isPaired = dtype === "q4" || dtype === "q4f16" || dtype === "bnb4";
    parameterCount += isPaired ? elements + byteElements : elements;
    weightBytes += bytes;
    const external = externalFiles(folder, graph);
    for (const file of [graph, ...external]) {
      if (!(await exists(join(folder, file))))
        fail(folder, `${graph} needs ${file}, which is missing`);
      all.push(file);
    }
  }
  return { parameterCount, weightBytes, files: [...new Set(all)] };
}

function fail(folder: string, reason: string): never {
  throw new ModelError("bad_file", `Cannot use the model in ${folder}: ${reason}`);
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
