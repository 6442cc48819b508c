import { describe, expect, test } from "vitest";
import type { Inputs } from "../../../worker-agent/cli/find-settings.ts";
import { parseCommandLine } from "../../../worker-agent/cli/parse-command-line.ts";
import { readConfig } from "../../../worker-agent/config.ts";
import { EngineError } from "../../../worker-agent/engine/engine.ts";
import { withUpstreams } from "../../../worker-agent/upstream/find-upstreams.ts";
import { listedName } from "../../../worker-agent/upstream/listed-name.ts";
import { scratchFolder } from "../models/scratch-folder.ts";
import { llamaServerRoutes } from "./recorded-llama-server.ts";
import { ollamaRoutes } from "./recorded-ollama.ts";
import { RecordedServer } from "./recorded-server.ts";
import { vllmRoutes } from "./recorded-vllm.ts";

const never = new AbortController().signal;

function inputsOf(words: readonly string[], env: Inputs["env"] = {}, home = "/home/ada"): Inputs {
  const line = parseCommandLine(["start", ...words]);
  if (line.kind !== "command") throw new Error("no command");
  return { flags: line.flags, env, file: { path: "/config.json", values: {} }, home };
}

function upstreamOf(words: readonly string[], env: Inputs["env"] = {}) {
  return readConfig(inputsOf(words, env)).upstream;
}

describe("settings of other servers", () => {
  test("nothing said looks at this machine; a model named looks at nothing", () => {
    expect(upstreamOf([]).look).toBe("auto");
    expect(upstreamOf(["--model", "octo-tiny"]).look).toBe("none");
    expect(upstreamOf([], { OCTO_MODEL: "octo-tiny" }).look).toBe("none");
    expect(upstreamOf(["--upstream", "none"]).look).toBe("none");
    expect(upstreamOf(["--upstream", "auto", "--model", "octo-tiny"]).look).toBe("auto");
  });

  test("addresses come by flags, with commas, and lose their /v1", () => {
    const words = ["--upstream", "http://localhost:8000/v1/", "--upstream", "http://[::1]:1,"];
    expect(() => upstreamOf(words)).toThrow(/Cannot use "" from --upstream/);
    const some = "http://localhost:8000/v1/,http://127.0.0.1:9/openai";
    expect(upstreamOf(["--upstream", some, "--upstream", "http://[::1]:1"])).toMatchObject({
      look: "given",
      urls: ["http://localhost:8000", "http://127.0.0.1:9/openai", "http://[::1]:1"],
    });
    expect(upstreamOf([], { OCTO_UPSTREAM: some }).urls).toHaveLength(2);
  });

  test("the bundled model is not served where only another server was named", () => {
    const url = ["--upstream", "http://localhost:1"];
    expect(readConfig(inputsOf(url)).models).toEqual([]);
    expect(readConfig(inputsOf([...url, "--model", "synthetic"])).models).toHaveLength(1);
  });

  test("another machine is refused with what to do, and served where it is allowed", () => {
    const words = ["--upstream", "http://10.0.0.7:8000"];
    expect(() => upstreamOf(words)).toThrow(/add --allow-upstream 10.0.0.7/);
    expect(upstreamOf([...words, "--allow-upstream", "10.0.0.7"]).look).toBe("given");
    expect(upstreamOf([...words, "--allow-upstream", "10.0.0.7:8000"]).look).toBe("given");
    expect(() => upstreamOf([...words, "--allow-upstream", "10.0.0.8"])).toThrow(/another machine/);
  });

  test.each([
    ["ollama", /it must be auto, none or a server's http address/],
    ["file:///etc/passwd", /http address/],
    ["http://localhost:1?key=x", /no query/],
    ["auto,http://localhost:1", /stand alone/],
  ])("%s is refused", (text, reason) => {
    expect(() => upstreamOf(["--upstream", text])).toThrow(reason);
  });

  test("a password in an address is refused without repeating it", () => {
    const words = ["--upstream", "http://ada:hunter2@localhost:1"];
    expect(() => upstreamOf(words)).toThrow(/OCTO_UPSTREAM_KEY/);
    expect(() => upstreamOf(words)).not.toThrow(/hunter2/);
  });

  test("the key is for servers that were named, and is never printed", () => {
    const env = { OCTO_UPSTREAM_KEY: "sk-very-secret" };
    expect(upstreamOf([], env).key).toBeNull();
    const config = readConfig(inputsOf(["--upstream", "http://localhost:1"], env));
    expect(config.upstream.key?.reveal()).toBe("sk-very-secret");
    expect(JSON.stringify(config) + String(config.upstream.key)).not.toContain("sk-very");
  });

  test("models are chosen and renamed, also by --as behind them", () => {
    const words = "--upstream-model a:1b=small --upstream-model b --as big --upstream-model c";
    expect(upstreamOf(words.split(" ")).models).toEqual([
      { name: "a:1b", listedAs: "small" },
      { name: "b", listedAs: "big" },
      { name: "c", listedAs: null },
    ]);
    expect(() => upstreamOf(["--upstream-model", "a=b c"])).toThrow(/a model's name has/);
  });

  test.each([
    ["llama3.2:latest", "llama3.2"],
    ["qwen3:0.6b", "qwen3:0.6b"],
    ["../models/Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf", "Meta-Llama-3.1-8B-Instruct-Q4_K_M"],
    ["C:\\models\\a b.gguf", "a-b"],
    ["/srv/models/qwen", "qwen"],
    ["Qwen/Qwen2.5-7B", "Qwen/Qwen2.5-7B"],
    ["_!", "model"],
    ["x".repeat(300), "x".repeat(128)],
  ])("%s is listed as %s", (id, name) => {
    expect(listedName(id)).toBe(name);
  });
});

async function createWorld() {
  const folder = await scratchFolder();
  const servers: RecordedServer[] = [];
  const logged: string[] = [];
  return {
    logged,
    async serve(routes: RecordedServer["routes"]) {
      const server = await RecordedServer.start(routes);
      servers.push(server);
      return server;
    },
    find(words: readonly string[], ports: readonly number[] = [], env: Inputs["env"] = {}) {
      const config = readConfig(inputsOf([...words, "--state-dir", folder.path], env));
      const log = (_level: string, message: string, fields: object = {}) => {
        logged.push(`${message} ${JSON.stringify(fields)}`);
      };
      return withUpstreams(config, never, log, ports);
    },
    async [Symbol.asyncDispose]() {
      for (const server of servers) await server[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

describe("finding other servers", () => {
  test("what listens here is served instead of the bundled model, and the log says so", async () => {
    await using world = await createWorld();
    const ollama = await world.serve(ollamaRoutes());
    const vllm = await world.serve(vllmRoutes());
    const page = await world.serve({ "/v1/models": { text: "<html>", type: "text/html" } });
    const { models } = await world.find([], [ollama.port, vllm.port, page.port, 1]);
    expect(models.map(({ name }) => name)).toEqual([
      "llama3.2",
      "all-minilm",
      "Qwen/Qwen2.5-VL-7B-Instruct",
    ]);
    expect(world.logged.join("\n")).toMatch(/Found .*"Ollama".*\n.*Found .*"vLLM"/s);
    expect(world.logged.join("\n")).toMatch(/instead_of":"octo-tiny"/);
    expect(ollama.asked.some(({ headers }) => headers.authorization !== undefined)).toBe(false);
  });

  test("where nothing listens, the bundled model is served", async () => {
    await using world = await createWorld();
    const { models } = await world.find([], [1]);
    expect(models.map(({ name }) => name)).toEqual(["octo-tiny"]);
  });

  test("a server that hangs does not keep the worker from starting", async () => {
    await using world = await createWorld();
    const hanging = await world.serve({ "/v1/models": { hang: true } });
    const { models } = await world.find([], [hanging.port]);
    expect(models.map(({ name }) => name)).toEqual(["octo-tiny"]);
  });

  test("a found model that answers nothing is left out, and the others are served", async () => {
    await using world = await createWorld();
    const routes = ollamaRoutes();
    routes["/v1/embeddings"] = { status: 500, json: { error: "broken" } };
    const ollama = await world.serve(routes);
    const { models } = await world.find([], [ollama.port]);
    expect(models.map(({ name }) => name)).toEqual(["llama3.2"]);
    expect(world.logged.join("\n")).toMatch(/Not served .*all-minilm.*answers nothing/);
  });

  test("a named server that cannot be reached is one sentence", async () => {
    await using world = await createWorld();
    const failed = world.find(["--upstream", "http://127.0.0.1:1"]);
    await expect(failed).rejects.toThrow(EngineError);
    await expect(failed).rejects.toThrow(
      "Cannot serve the models of http://127.0.0.1:1: it refuses the connection; " +
        "start it, or leave it out of --upstream",
    );
  });

  test("a named server that is none of models is one sentence as well", async () => {
    await using world = await createWorld();
    const page = await world.serve({});
    await expect(world.find(["--upstream", page.url])).rejects.toThrow(/is no server of models/);
  });

  test("only the chosen models are served, under the names given, beside those of --model", async () => {
    await using world = await createWorld();
    const ollama = await world.serve(ollamaRoutes());
    const words = ["--model", "synthetic", "--upstream", ollama.url];
    const chosen = [...words, "--upstream-model", "llama3.2:latest", "--as", "mine"];
    const { models } = await world.find(chosen);
    expect(models.map(({ name }) => name)).toEqual(["synthetic", "mine"]);
    const missing = world.find([...words, "--upstream-model", "nothing"]);
    await expect(missing).rejects.toThrow(/Cannot serve "nothing" of --upstream-model/);
  });

  test("a model of Ollama's that runs on another machine is not served, even if it is named", async () => {
    await using world = await createWorld();
    const ollama = await world.serve(ollamaRoutes());
    const words = ["--upstream", ollama.url, "--upstream-model", "gpt-oss:120b-cloud"];
    await expect(world.find(words)).rejects.toThrow(/has none/);
  });

  test("two models of one name are listed once", async () => {
    await using world = await createWorld();
    const [one, other] = [await world.serve(vllmRoutes()), await world.serve(vllmRoutes())];
    const { models } = await world.find(["--upstream", `${one.url},${other.url}`]);
    expect(models).toHaveLength(1);
    expect(world.logged.join("\n")).toMatch(/its name is taken/);
  });

  test("a key reaches the server that was named, on every request", async () => {
    await using world = await createWorld();
    const server = await world.serve(llamaServerRoutes());
    await world.find(["--upstream", server.url], [], { OCTO_UPSTREAM_KEY: "sk-very-secret" });
    const keys = new Set(server.asked.map(({ headers }) => headers.authorization));
    expect([...keys]).toEqual(["Bearer sk-very-secret"]);
    expect(world.logged.join("\n")).not.toContain("sk-very");
  });
});
