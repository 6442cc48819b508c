import { expect, test } from "vitest";
import { discover } from "../../../worker-agent/upstream/discover.ts";
import { openWorld } from "./open-recorded.ts";
import type { Route } from "./recorded-server.ts";
import { llamaServerRoutes } from "./recorded-llama-server.ts";
import { ollamaRoutes } from "./recorded-ollama.ts";
import { vllmRoutes } from "./recorded-vllm.ts";

function list(id: string, owned_by: string): Record<string, Route> {
  return { "/v1/models": { json: { object: "list", data: [{ id, object: "model", owned_by }] } } };
}

const own = { "/version": { json: { version: "1.2.0" } } };

test.each<[string, string, Record<string, Route>]>([
  ["ollama", "0.13.1", ollamaRoutes()],
  ["llama-server", "b9554-d403f00ec", llamaServerRoutes()],
  ["vllm", "0.15.0", vllmRoutes()],
  [
    "sglang",
    "",
    { ...list("qwen", "sglang"), "/get_model_info": { json: { model_path: "qwen/qwen2.5" } } },
  ],
  ["tensorrt-llm", "1.2.0", { ...list("TinyLlama", "tensorrt_llm"), ...own }],
  ["tensorrt-llm", "", list("ensemble", "Triton Inference Server")],
  [
    "lm-studio",
    "",
    {
      ...list("qwen2-vl", "organization_owner"),
      "/api/v0/models": {
        json: { data: [{ id: "qwen2-vl", type: "vlm", arch: "qwen2_vl", state: "loaded" }] },
      },
    },
  ],
  [
    "localai",
    "v4.9.0",
    {
      ...list("gpt-4", ""),
      "/api/version": { json: { version: "0.9.0" } },
      "/.well-known/localai.json": { json: { version: "v4.9.0", endpoints: {} } },
    },
  ],
  ["diffusion", "", list("sd-cpp-local", "local")],
  ["openai-compatible", "", list("anything", "somebody")],
])("%s is known by what it says of itself", async (kind, version, routes) => {
  await using world = await openWorld(routes);
  const [found] = await discover(null, new AbortController().signal, [world.server.port]);
  expect(found?.identified).toMatchObject({ kind, version });
});
