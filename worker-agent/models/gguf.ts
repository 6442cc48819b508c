import { basename, dirname, join } from "node:path";
import type { CacheShape } from "./cache-shape.ts";
import { cacheShape } from "./cache-shape.ts";
import type { GgufHeader, Metadata } from "./gguf-header.ts";
import { readGgufHeader } from "./gguf-header.ts";
import { fileTypeNames } from "./gguf-types.ts";
import { ModelError } from "./model-error.ts";
import { parseSplitName, partNames } from "./split-names.ts";

/** What GGUF files say of their model (github.com/ggml-org/ggml, docs/gguf.md). */
export interface GgufFile {
  /** The file to load: of a split model its first part. */
  readonly path: string;
  /** All files of the model, in their order. */
  readonly paths: readonly string[];
  /** The size of all files. */
  readonly fileBytes: number;
  readonly architecture: string;
  /** The context the model was trained for. */
  readonly contextTokens: number;
  readonly quantization: string;
  readonly parameterCount: number;
  /** Bytes of all tensors, as they lie in memory. */
  readonly weightBytes: number;
  readonly vocabularySize: number;
  readonly chatTemplate: string | null;
  readonly cache: CacheShape;
  /** Bytes that one token of a batch takes in the graph, beside its logits: roughly. */
  readonly graphBytesPerToken: number;
}

/**
 * Reads the headers of the model at `path` without loading its weights: one file, or all parts of
 * a split one where `path` is the first. Throws ModelError `bad_file` where a file is missing, is
 * not GGUF, is truncated or says what cannot be.
 */
export function readGguf(path: string): GgufFile {
  const fail = (rule: string): never => {
    throw new ModelError("bad_file", `Cannot use the model file ${path}: ${rule}`);
  };
  const first = readGgufHeader(path);
  const count = first.metadata.get("split.count");
  if (typeof count !== "number" || count <= 1) {
    if (first.tensorCount === 0) fail("it has no tensors");
    return describeModel([path], [first], fail);
  }
  const names = namesOfParts(path, first.metadata, count, fail);
  const paths = names.map((name) => join(dirname(path), name));
  const headers = paths.map((part, at) => (at === 0 ? first : readPart(part, at, count)));
  const expected = first.metadata.get("split.tensors.count");
  const tensors = headers.reduce((sum, { tensorCount }) => sum + tensorCount, 0);
  if (tensors === 0 || (typeof expected === "number" && expected !== tensors)) {
    fail(`its parts have ${tensors} tensors together and should have ${String(expected)}`);
  }
  return describeModel(paths, headers, fail);
}

/** What a header read elsewhere says, with the weights of `fileBytes` in all parts together. */
export function describeHeader(path: string, header: GgufHeader, fileBytes: number): GgufFile {
  const fail = (rule: string): never => {
    throw new ModelError("bad_file", `Cannot use the model file ${path}: ${rule}`);
  };
  const one = describeModel([path], [header], fail);
  return { ...one, fileBytes, weightBytes: Math.max(one.weightBytes, fileBytes) };
}

function namesOfParts(
  path: string,
  metadata: Metadata,
  count: number,
  fail: (rule: string) => never,
): readonly string[] {
  const number = metadata.get("split.no") ?? 0;
  const split = parseSplitName(basename(path));
  if (split === null || split.parts !== count) {
    return fail(`it is one of ${count} parts, so its name must end in -00001-of-…`);
  }
  if (number !== 0 || split.part !== 1) {
    return fail(`it is part ${split.part} of ${count}: name the first, ${partNames(path)[0]}`);
  }
  return partNames(basename(path));
}

function readPart(path: string, at: number, count: number): GgufHeader {
  const header = readGgufHeader(path);
  const { metadata } = header;
  if (metadata.get("split.no") === at && metadata.get("split.count") === count) return header;
  const rule = `it is not part ${at + 1} of ${count}, as its name says`;
  throw new ModelError("bad_file", `Cannot use the model file ${path}: ${rule}`);
}

function describeModel(
  paths: readonly string[],
  headers: readonly GgufHeader[],
  fail: (rule: string) => never,
): GgufFile {
  const weightsByType = new Map<string, number>();
  for (const header of headers) {
    for (const [type, weights] of header.weightsByType) {
      weightsByType.set(type, (weightsByType.get(type) ?? 0) + weights);
    }
  }
  const [common] = [...weightsByType].toSorted(([, a], [, b]) => b - a);
  const sum = (of: (header: GgufHeader) => number) =>
    headers.reduce((total, header) => total + of(header), 0);
  return {
    path: paths[0] ?? "",
    paths,
    fileBytes: sum(({ fileBytes }) => fileBytes),
    parameterCount: sum(({ parameterCount }) => parameterCount),
    weightBytes: sum(({ weightBytes }) => weightBytes),
    ...describe(headers[0]?.metadata ?? new Map(), common?.[0] ?? "unknown", fail),
  };
}

type Description = Omit<
  GgufFile,
  "path" | "paths" | "fileBytes" | "parameterCount" | "weightBytes"
>;

function describe(
  metadata: Metadata,
  commonType: string,
  fail: (rule: string) => never,
): Description {
  const architecture = metadata.get("general.architecture");
  if (typeof architecture !== "string") return fail("it does not name its architecture");
  const number = (key: string): number | null => {
    const value = metadata.get(`${architecture}.${key}`);
    return typeof value === "number" && value >= 0 ? value : null;
  };
  const contextTokens = number("context_length");
  if (contextTokens === null || contextTokens < 1) {
    return fail(`it has no ${architecture}.context_length`);
  }
  const fileType = metadata.get("general.file_type");
  const named = typeof fileType === "number" ? fileTypeNames.get(fileType) : undefined;
  const template = metadata.get("tokenizer.chat_template");
  const tokens = metadata.get("tokenizer.ggml.tokens");
  const vocabularySize = typeof tokens === "object" ? tokens.length : (number("vocab_size") ?? 0);
  return {
    architecture,
    contextTokens,
    quantization: named ?? commonType,
    vocabularySize,
    chatTemplate: typeof template === "string" && template !== "" ? template : null,
    cache: cacheShape(metadata, architecture),
    graphBytesPerToken: graphBytesPerToken(metadata, architecture),
  };
}

/** A layer's input and output, and the three vectors of its feed-forward part, as 32-bit floats. */
function graphBytesPerToken(metadata: Metadata, architecture: string): number {
  const widest = (key: string): number => {
    const value = metadata.get(`${architecture}.${key}`);
    if (Array.isArray(value)) return Math.max(0, ...(value as readonly number[]));
    return typeof value === "number" && value > 0 ? value : 0;
  };
  return 4 * (2 * widest("embedding_length") + 3 * widest("feed_forward_length"));
}
