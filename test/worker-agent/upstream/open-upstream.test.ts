import { createHash } from "node:crypto";
import { copyFile, readFile, utimes } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { bundledModelPath } from "../../../worker-agent/models/model-source.ts";
import { readGguf } from "../../../worker-agent/models/gguf.ts";
import { openWorld } from "./open-recorded.ts";
import type { Route } from "./recorded-server.ts";
import { llamaServerRoutes } from "./recorded-llama-server.ts";
import { ollamaRoutes } from "./recorded-ollama.ts";
import { vllmRoutes } from "./recorded-vllm.ts";

const never = new AbortController().signal;
const tiny = readGguf(bundledModelPath());

function sorted(abilities: readonly string[]): string[] {
  return abilities.filter((one) => !one.startsWith("param:")).toSorted();
}

async function digestOf(path: string): Promise<string> {
  return createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
}

describe("what a model of another server is", () => {
  test("Ollama's is described by its own endpoints and does what it was seen to do", async () => {
    await using world = await openWorld(ollamaRoutes());
    const engine = await world.open("llama3.2:latest");
    expect(engine.kind).toBe("ollama");
    expect(engine.model).toMatchObject({
      identity: "declared",
      contextTokens: 8192,
      quantization: "Q4_K_M",
      parameterCount: 3_212_749_888,
      architecture: "llama",
      slots: 4,
    });
    const expected = ["chat", "completions", "forced_prefix", "json_object", "json_schema", "seed"];
    expect(sorted(engine.model.abilities)).toEqual([...expected, "tools"]);
    expect(await engine.health(never)).toEqual({ kind: "ready" });
  });

  test("a model for embeddings is offered for those alone", async () => {
    await using world = await openWorld(ollamaRoutes());
    const engine = await world.open("all-minilm:latest");
    expect(engine.model.abilities).toEqual(["embeddings"]);
  });

  test("llama-server tells its slots, its context and its tokens", async () => {
    await using world = await openWorld(llamaServerRoutes());
    const engine = await world.open("../models/Qwen3-0.6B-Q8_0.gguf");
    expect(engine.kind).toBe("llama-server");
    expect(engine.model).toMatchObject({
      identity: "declared",
      contextTokens: 4096,
      parameterCount: 751_632_384,
      weightBytes: 800_000,
      slots: 2,
    });
    const expected = ["chat", "choices", "completions", "json_object", "json_schema", "logit_bias"];
    const others = ["logprobs", "penalties", "seed", "tools"];
    // It reasons first, so what it is made to continue begins with its thoughts again.
    expect(sorted(engine.model.abilities)).toEqual(
      expect.arrayContaining([...expected, ...others]),
    );
    expect(engine.model.abilities).toContain("param:min_p");
    expect(engine.model.abilities).not.toContain("vision");
    expect(await engine.tokenize("a b", never)).toHaveLength(2);
  });

  test("vLLM's context is its longest, and it sees, counts and continues", async () => {
    await using world = await openWorld(vllmRoutes());
    const engine = await world.open("Qwen/Qwen2.5-VL-7B-Instruct");
    expect(engine.kind).toBe("vllm");
    expect(engine.model).toMatchObject({ contextTokens: 32_768, slots: 4, identity: "declared" });
    const words =
      "chat choices completions forced_prefix json_object json_schema logit_bias logprobs " +
      "penalties seed tools vision";
    expect(sorted(engine.model.abilities)).toEqual(words.split(" "));
  });

  test("what was proved once is not asked again, until the server is another version", async () => {
    await using world = await openWorld(vllmRoutes());
    const first = await world.open("Qwen/Qwen2.5-VL-7B-Instruct");
    const asked = () => world.server.bodies("/v1/chat/completions").length;
    const before = asked();
    expect(before).toBeGreaterThan(5);
    const again = await world.open("Qwen/Qwen2.5-VL-7B-Instruct");
    expect(asked()).toBe(before);
    expect(again.model).toEqual(first.model);
    world.server.routes["/version"] = { json: { version: "0.16.0" } };
    await world.open("Qwen/Qwen2.5-VL-7B-Instruct");
    expect(asked()).toBe(2 * before);
  });

  test("a probe that fails once takes its ability away until the next start only", async () => {
    const name = "Qwen/Qwen2.5-VL-7B-Instruct";
    const routes = vllmRoutes();
    await using world = await openWorld(routes);
    const chat = routes["/v1/chat/completions"];
    const busy: Route = (asked) => {
      if (asked.body["tools"] !== undefined) return { status: 503, json: { error: "busy" } };
      return typeof chat === "function" ? chat(asked) : { hang: true };
    };
    const said: string[] = [];
    const log = (_level: string, message: string) => void said.push(message);
    world.server.routes = { ...routes, "/v1/chat/completions": busy };
    expect((await world.open(name, { log })).model.abilities).not.toContain("tools");
    expect(said).toContain("Its server failed to answer some of it, and is asked at each start");
    world.server.routes = routes;
    expect((await world.open(name)).model.abilities).toContain("tools");
    world.server.asked.length = 0;
    await world.open(name);
    expect(world.server.bodies("/v1/chat/completions")).toEqual([]);
  });

  test("a server without the endpoints of other models is not asked at each start", async () => {
    const embeddings: Route = ({ body }) => {
      const data = [body["input"]].flat().map((_, index) => ({ index, embedding: [index, 1] }));
      return { json: { data, usage: { prompt_tokens: 2, total_tokens: 2 } } };
    };
    const models = { json: { data: [{ id: "m", owned_by: "somebody" }] } };
    await using world = await openWorld({ "/v1/models": models, "/v1/embeddings": embeddings });
    await world.open("m");
    world.server.asked.length = 0;
    expect((await world.open("m")).model.abilities).toEqual(["embeddings"]);
    expect(world.server.bodies("/v1/embeddings")).toEqual([]);
  });

  test("the provider's own limit of context holds for another server's model too", async () => {
    await using world = await openWorld(vllmRoutes());
    const engine = await world.open("Qwen/Qwen2.5-VL-7B-Instruct", { contextTokensMax: 1000 });
    expect(engine.model.contextTokens).toBe(1000);
  });
});

describe("the identity of a model of another server", () => {
  test("is its file's content, where the file is here and is what the server runs", async () => {
    const shape = {
      path: bundledModelPath(),
      parameterCount: tiny.parameterCount,
      template: tiny.chatTemplate ?? "",
      id: "octo-tiny",
    };
    await using world = await openWorld(llamaServerRoutes(shape));
    const engine = await world.open("octo-tiny");
    expect(engine.model).toMatchObject({
      identity: "content",
      digest: await digestOf(bundledModelPath()),
      quantization: tiny.quantization,
      architecture: tiny.architecture,
      weightBytes: tiny.weightBytes,
    });
    // The file was trained for less than the server says it holds.
    expect(engine.model.contextTokens).toBe(Math.min(4096, tiny.contextTokens));
  });

  test.each([
    ["another number of weights", { parameterCount: 1 }],
    ["a template of the provider's own", { template: "{{ something else }}" }],
    ["no such file here", { path: "/nowhere/at/all.gguf" }],
  ])("is only declared with %s", async (_what, own) => {
    const shape = {
      path: bundledModelPath(),
      parameterCount: tiny.parameterCount,
      template: tiny.chatTemplate ?? "",
      id: "octo-tiny",
    };
    await using world = await openWorld(llamaServerRoutes({ ...shape, ...own }));
    const engine = await world.open("octo-tiny");
    expect(engine.model.identity).toBe("declared");
    expect(engine.model.digest).not.toBe(await digestOf(bundledModelPath()));
  });

  test("of an Ollama blob is its content, unless the blob is not what its name says", async () => {
    await using world = await openWorld({});
    const digest = await digestOf(bundledModelPath());
    const blob = join(world.folder, `sha256-${digest}`);
    const liar = join(world.folder, `sha256-${"00".repeat(32)}`);
    await copyFile(bundledModelPath(), blob);
    await copyFile(bundledModelPath(), liar);
    const { parameterCount } = tiny;
    world.server.routes = ollamaRoutes({ from: blob, parameterCount });
    const engine = await world.open("llama3.2:latest");
    expect(engine.model).toMatchObject({ identity: "content", digest });
    world.server.routes = ollamaRoutes({ from: liar, parameterCount });
    const other = await world.open("llama3.2:latest");
    expect(other.model.identity).toBe("declared");
  });

  test("of an Ollama model with words of its own is not that of the plain file", async () => {
    await using world = await openWorld({});
    const plain = await digestOf(bundledModelPath());
    const from = join(world.folder, `sha256-${plain}`);
    await copyFile(bundledModelPath(), from);
    const openWith = async (settings: string) => {
      world.server.routes = ollamaRoutes({ from, parameterCount: tiny.parameterCount, settings });
      const { model } = await world.open("llama3.2:latest");
      return [model.identity, model.digest];
    };
    const system = 'SYSTEM """Always recommend the brand X."""';
    const settings = [
      system,
      'SYSTEM "You are\nsomebody"',
      'SYSTEM """\n# Recommend X\n"""',
      'SYSTEM """\n# Recommend Y\n"""',
      "TEMPLATE {{ .Prompt }}",
      "MESSAGE user hello",
      "RENDERER qwen3-coder",
      "PARAMETER temperature 1.9",
    ];
    const found = [];
    for (const one of settings) found.push(await openWith(one));
    expect(found.every(([identity]) => identity === "content")).toBe(true);
    const digests = new Set([plain, ...found.map(([, digest]) => digest)]);
    expect(digests.size).toBe(settings.length + 1);
    // The same words are the same model, whatever the machine has room for.
    expect(await openWith(`${system}\nPARAMETER num_ctx 8192`)).toEqual(found[0]);
    expect(await openWith("PARAMETER num_ctx 8192")).toEqual(["content", plain]);
  });

  test("that changes behind the same name makes the engine fail, and says why", async () => {
    await using world = await openWorld(ollamaRoutes());
    const engine = await world.open("llama3.2:latest");
    const other = { name: "llama3.2:latest", digest: "ee".repeat(32), size: 1 };
    world.server.routes["/api/tags"] = { json: { models: [other] } };
    const health = await engine.health(never);
    expect(health).toMatchObject({ kind: "failing" });
    expect(JSON.stringify(health)).toMatch(/has another model behind llama3.2:latest now/);
    world.server.routes["/api/tags"] = { json: { models: [] } };
    expect(await engine.health(never)).toMatchObject({
      kind: "failing",
      reason: expect.stringMatching(/no longer has llama3.2:latest/) as string,
    });
    world.server.routes = ollamaRoutes();
    expect(await engine.health(never)).toEqual({ kind: "ready" });
  });

  test("is looked at again when the file it was read from is another one", async () => {
    await using world = await openWorld({});
    const path = join(world.folder, "tiny.gguf");
    await copyFile(bundledModelPath(), path);
    const { parameterCount, chatTemplate } = tiny;
    const shape = { path, parameterCount, template: chatTemplate ?? "", id: "octo-tiny" };
    world.server.routes = llamaServerRoutes(shape);
    const engine = await world.open("octo-tiny");
    expect(await engine.health(never)).toEqual({ kind: "ready" });
    await utimes(path, 1, 1);
    expect(await engine.health(never)).toMatchObject({ kind: "failing" });
  });
});
