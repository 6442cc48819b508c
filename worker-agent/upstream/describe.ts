import { isAbsolute } from "node:path";
import { z } from "zod";
import type { JsonValue } from "../../shared/crypto/jcs.ts";
import type { UpstreamKind } from "./dialects.ts";
import type { ListedModel } from "./identify.ts";
import { modelListSchema, propsSchema, studioModelsSchema } from "./identify.ts";
import type { Server } from "./http.ts";
import type { ReadOptions } from "./read-json.ts";
import { readJson } from "./read-json.ts";

/** What a server says of one of its models; null is what it does not say. */
export interface ModelFacts {
  readonly contextTokens: number | null;
  readonly quantization: string | null;
  readonly parameterCount: number | null;
  readonly architecture: string | null;
  readonly weightBytes: number | null;
  readonly slots: number | null;
  /** Where its weights are, if that may be on this machine. */
  readonly file: ModelFile | null;
  /** What makes it this model: when it changes, another one is behind the name. */
  readonly mark: JsonValue;
}

export interface ModelFile {
  readonly path: string;
  /** The template the server uses, where it tells. */
  readonly chatTemplate: string | null;
  /** The SHA-256 the server claims, where it does. */
  readonly sha256: string | null;
  /** What the server gives the model beside the file; null where it gives nothing. */
  readonly settings: string | null;
}

/** What Ollama and LM Studio give a context unless told otherwise, where a model allows it. */
export const contextTokensDefault = 4096;

const unknown = {
  contextTokens: null,
  quantization: null,
  parameterCount: null,
  architecture: null,
  weightBytes: null,
  slots: null,
  file: null,
} as const;

/** Ollama, docs/api.md, "List Local Models": a model of theirs elsewhere has a `remote_host`. */
const tagsSchema = z.object({
  models: z.array(
    z.object({
      name: z.string().min(1).max(512),
      digest: z.string().max(256).nullish(),
      size: z.number().nullish(),
      remote_host: z.string().nullish(),
    }),
  ),
});

/** Ollama, docs/api.md, "Show Model Information". */
const showSchema = z.object({
  modelfile: z.string().nullish(),
  parameters: z.string().nullish(),
  details: z
    .object({ family: z.string().nullish(), quantization_level: z.string().nullish() })
    .nullish(),
  model_info: z.record(z.string(), z.unknown()).nullish(),
});

const runningSchema = z.object({
  models: z.array(z.object({ name: z.string(), context_length: z.int().min(1).nullish() })),
});

const sglangSchema = z.object({
  quantization: z.string().nullish(),
  max_running_requests: z.int().min(1).nullish(),
});

/** What tells that it is still the same model, by one cheap look; null where it is not there. */
export async function readMark(
  server: Server,
  kind: UpstreamKind,
  model: string,
  options: ReadOptions,
): Promise<JsonValue | null> {
  if (kind === "ollama") {
    const tags = await readJson(server, "/api/tags", tagsSchema, options);
    const found = tags?.models.find(({ name }) => name === model);
    return found === undefined ? null : { digest: found.digest ?? null };
  }
  if (kind === "lm-studio") {
    const list = await readJson(server, "/api/v0/models", studioModelsSchema, options);
    const found = list?.data.find(({ id }) => id === model);
    if (found === undefined) return null;
    return { arch: found.arch ?? null, quantization: found.quantization ?? null };
  }
  const list = await readJson(server, "/v1/models", modelListSchema, options);
  const found = list?.data?.find(({ id }) => id === model);
  if (found === undefined) return null;
  const { root, max_model_len: length, meta } = found;
  return { root: root ?? null, length: length ?? null, parameters: meta?.n_params ?? null };
}

/** Everything a server says of a model, before a request has loaded it. */
export async function describeModel(
  server: Server,
  kind: UpstreamKind,
  model: ListedModel,
  options: ReadOptions,
): Promise<ModelFacts | null> {
  const mark = await readMark(server, kind, model.id, options);
  if (mark === null) return null;
  const contextTokens = model.max_model_len ?? null;
  switch (kind) {
    case "ollama":
      return describeOllama(server, model.id, mark, options);
    case "llama-server":
      return describeLlamaServer(server, model, mark, options);
    case "lm-studio": {
      const list = await readJson(server, "/api/v0/models", studioModelsSchema, options);
      const found = list?.data.find(({ id }) => id === model.id);
      const { arch, quantization } = found ?? {};
      return {
        ...unknown,
        architecture: arch ?? null,
        quantization: quantization ?? null,
        mark,
      };
    }
    case "sglang": {
      const info = await readJson(server, "/get_server_info", sglangSchema, options);
      const { quantization, max_running_requests: slots } = info ?? {};
      return {
        ...unknown,
        contextTokens,
        quantization: quantization ?? null,
        slots: slots ?? null,
        mark,
      };
    }
    case "vllm":
    case "tensorrt-llm":
    case "localai":
    case "openai-compatible":
    case "diffusion":
      return { ...unknown, contextTokens, mark };
  }
}

/** The context a model has once it is loaded, for servers that decide it only then. */
export async function loadedContext(
  server: Server,
  kind: UpstreamKind,
  model: string,
  options: ReadOptions,
): Promise<number | null> {
  if (kind === "ollama") {
    const running = await readJson(server, "/api/ps", runningSchema, options);
    return running?.models.find(({ name }) => name === model)?.context_length ?? null;
  }
  if (kind !== "lm-studio") return null;
  const list = await readJson(server, "/api/v0/models", studioModelsSchema, options);
  return list?.data.find(({ id }) => id === model)?.loaded_context_length ?? null;
}

/** The models Ollama runs itself, and not by asking another machine. */
export async function localOllamaModels(
  server: Server,
  options: ReadOptions,
): Promise<ReadonlySet<string>> {
  const tags = await readJson(server, "/api/tags", tagsSchema, options);
  const own = (tags?.models ?? []).filter(({ remote_host: host }) => (host ?? "") === "");
  return new Set(own.map(({ name }) => name));
}

async function describeOllama(
  server: Server,
  model: string,
  mark: JsonValue,
  options: ReadOptions,
): Promise<ModelFacts> {
  const show = await readJson(server, "/api/show", showSchema, { ...options, body: { model } });
  const info = show?.model_info ?? {};
  const count = info["general.parameter_count"];
  const architecture = info["general.architecture"] ?? show?.details?.family;
  const asked = /^num_ctx\s+(\d{2,9})\s*$/m.exec(show?.parameters ?? "")?.[1];
  return {
    ...unknown,
    contextTokens: asked === undefined ? null : Number(asked),
    quantization: show?.details?.quantization_level ?? null,
    parameterCount: typeof count === "number" && Number.isSafeInteger(count) ? count : null,
    architecture: typeof architecture === "string" ? architecture : null,
    file: ollamaFile(show?.modelfile ?? ""),
    mark,
  };
}

/** The blob of weights that a Modelfile names; none where an adapter changes what it does. */
function ollamaFile(modelfile: string): ModelFile | null {
  const [path, ...others] = [...modelfile.matchAll(/^FROM\s+(\S.*?)\s*$/gm)].map(
    (match) => match[1] ?? "",
  );
  if (path === undefined || others.length > 0 || /^ADAPTER\s/m.test(modelfile)) return null;
  const sha256 = /[\\/]sha256[-:]([0-9a-f]{64})$/.exec(path)?.[1] ?? null;
  if (sha256 === null || !isAbsolute(path)) return null;
  return { path, sha256, chatTemplate: null, settings: ollamaSettings(modelfile) };
}

/**
 * Everything a Modelfile says beside where the weights are: its template, its system prompt, its
 * messages and its sampling make other answers of the same weights. What only fits a model to a
 * machine does not, nor do the comments at its head.
 */
function ollamaSettings(modelfile: string): string | null {
  const kept = modelfile
    // A line that begins so further down may be one of the system prompt.
    .replace(/^(?:(?:#.*)?\n)+/, "")
    .replaceAll(/^(?:FROM .*|PARAMETER num_(?:ctx|gpu|thread) \d+)$/gm, "")
    .trim();
  return kept === "" ? null : kept;
}

async function describeLlamaServer(
  server: Server,
  model: ListedModel,
  mark: JsonValue,
  options: ReadOptions,
): Promise<ModelFacts> {
  const props = await readJson(server, "/props", propsSchema, options);
  const path = props?.model_path ?? "";
  return {
    ...unknown,
    contextTokens: props?.default_generation_settings.n_ctx ?? model.meta?.n_ctx_train ?? null,
    parameterCount: model.meta?.n_params ?? null,
    weightBytes: model.meta?.size ?? null,
    slots: props?.total_slots ?? null,
    // A path that is not absolute is one of the server's own folder, which nobody tells.
    file: isAbsolute(path)
      ? { path, sha256: null, chatTemplate: props?.chat_template ?? null, settings: null }
      : null,
    mark,
  };
}
