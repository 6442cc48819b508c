import { z } from "zod";
import type { UpstreamKind } from "./dialects.ts";
import type { Server } from "./http.ts";
import { TransportError } from "./http.ts";
import type { ReadOptions } from "./read-json.ts";
import { readJson } from "./read-json.ts";

/*
 * What a server is, by what it says of itself and never by its port: several of them use the same
 * ones, and each of them can be moved.
 */

const version = z.object({ version: z.string().max(128) });

export const modelListSchema = z.object({
  data: z
    .array(
      z.object({
        id: z.string().min(1).max(512),
        owned_by: z.string().nullish(),
        /** vLLM, SGLang. */
        max_model_len: z.int().min(1).nullish(),
        root: z.string().nullish(),
        /** llama-server. */
        meta: z
          .object({
            n_ctx_train: z.int().min(1).nullish(),
            n_params: z.int().min(0).nullish(),
            size: z.int().min(0).nullish(),
          })
          .nullish(),
      }),
    )
    .nullable(),
});
export type ListedModel = NonNullable<z.infer<typeof modelListSchema>["data"]>[number];

/** llama.cpp, tools/server/README.md, "GET /props". */
export const propsSchema = z.object({
  default_generation_settings: z.object({ n_ctx: z.int().min(1).nullish() }),
  total_slots: z.int().min(1).nullish(),
  model_path: z.string().nullish(),
  chat_template: z.string().nullish(),
  build_info: z.string().nullish(),
});

/** LM Studio, "REST API v0", "GET /api/v0/models". */
export const studioModelsSchema = z.object({
  data: z.array(
    z.object({
      id: z.string().min(1).max(512),
      type: z.string(),
      arch: z.string().nullish(),
      quantization: z.string().nullish(),
      state: z.string().nullish(),
      max_context_length: z.int().min(1).nullish(),
      loaded_context_length: z.int().min(1).nullish(),
    }),
  ),
});

export interface Identified {
  readonly kind: UpstreamKind;
  /** The server's own; empty where it tells none. */
  readonly version: string;
  readonly models: readonly ListedModel[];
}

/**
 * What answers at `server`, or null where that is no server of models. Throws TransportError where
 * nothing answers there.
 */
export async function identify(server: Server, options: ReadOptions): Promise<Identified | null> {
  // First alone: most ports have nothing behind them, and one look says so.
  const list = await readJson(server, "/v1/models", modelListSchema, options);
  const read = <Value>(path: string, schema: z.ZodType<Value>) =>
    readJson(server, path, schema, options).catch((error: unknown) => {
      options.signal.throwIfAborted();
      // One endpoint that hangs or breaks is one this server does not have.
      if (error instanceof TransportError) return null;
      throw error;
    });
  const [localai, props, studio, ollama, own, sglang] = await Promise.all([
    read("/.well-known/localai.json", version.extend({ endpoints: z.unknown() })),
    read("/props", propsSchema),
    read("/api/v0/models", studioModelsSchema),
    read("/api/version", version),
    read("/version", version),
    read("/get_model_info", z.object({ model_path: z.string() })),
  ]);
  const models = list?.data ?? [];
  const as = (kind: UpstreamKind, version = "") => ({ kind, version, models });
  const owner = models[0]?.owned_by ?? "";
  if (localai !== null) return as("localai", localai.version);
  if (props !== null) return as("llama-server", props.build_info ?? "");
  if (studio !== null) return as("lm-studio");
  if (sglang !== null || owner === "sglang") return as("sglang", own?.version);
  if (owner === "vllm") return as("vllm", own?.version);
  if (/^(tensorrt_llm|Triton Inference Server)$/i.test(owner)) {
    return as("tensorrt-llm", own?.version);
  }
  if (ollama !== null) return as("ollama", ollama.version);
  if (models[0]?.id === "sd-cpp-local") return as("diffusion");
  return list === null ? null : as("openai-compatible", own?.version);
}
