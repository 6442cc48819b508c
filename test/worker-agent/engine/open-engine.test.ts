import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { OpenEngineOptions } from "../../../worker-agent/engine/open-engine.ts";
import { openEngine, openEngineDefaults } from "../../../worker-agent/engine/open-engine.ts";
import { addModel } from "../../../worker-agent/models/add-model.ts";
import { isGgufSource } from "../../../worker-agent/models/fetch-model.ts";
import { readGguf } from "../../../worker-agent/models/gguf.ts";
import { modelDigest } from "../../../worker-agent/models/model-digest.ts";
import type { ModelSource } from "../../../worker-agent/models/model-source.ts";
import { ModelStore } from "../../../worker-agent/models/store.ts";
import {
  bundledModelPath,
  parseModelSource,
  storedFileName,
} from "../../../worker-agent/models/model-source.ts";
import { startFileServer } from "../models/file-server.ts";
import { scratchFolder } from "../models/scratch-folder.ts";
import { splitGguf } from "../models/split-gguf.ts";
import { chat, collect } from "./collect.ts";

const never = new AbortController().signal;
const tinyDigest = "73cc8e441a53b560e1e1bd13e4004787126e9b460ea46aa37e7e2cb36ef65754";

async function createWorld() {
  const folder = await scratchFolder();
  const hub = await startFileServer(await readFile(bundledModelPath()));
  const storage = await startFileServer(hub.content);
  hub.redirect = `${storage.url}/blob`;
  const open = (model: string, own: Partial<OpenEngineOptions> = {}) =>
    openSource(parseModelSource(model), own);
  const openSource = (source: ModelSource, own: Partial<OpenEngineOptions> = {}) =>
    openEngine(
      source,
      {
        ...openEngineDefaults,
        slots: 1,
        gpu: "none",
        modelsFolder: folder.path,
        hubUrl: hub.url,
        log: () => {},
        ...own,
      },
      never,
    );
  return {
    hub,
    storage,
    folder: folder.path,
    open,
    openSource,
    async [Symbol.asyncDispose]() {
      await hub[Symbol.asyncDispose]();
      await storage[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

describe("opening an engine", () => {
  test("synthetic takes its name and shape from the options", async () => {
    await using world = await createWorld();
    await using engine = await world.open("synthetic:fast", { slots: 9, contextTokensMax: 77 });
    expect(engine.kind).toBe("synthetic");
    expect(engine.model).toMatchObject({ slots: 9, contextTokens: 77 });
  });

  test("a hub's file is fetched once, checked, and served", async () => {
    await using world = await createWorld();
    const model = "hf:owner/repo/tiny.gguf";
    await using engine = await world.open(model, { hubToken: "secret" });
    expect(engine.model.digest).toBe(tinyDigest);
    expect(world.hub.asked.map(({ method, path }) => [method, path])).toEqual([
      ["HEAD", "/owner/repo/resolve/main/tiny.gguf"],
      // Its header, its first byte, and the rest.
      ["GET", "/owner/repo/resolve/main/tiny.gguf"],
      ["GET", "/owner/repo/resolve/main/tiny.gguf"],
      ["GET", "/owner/repo/resolve/main/tiny.gguf"],
    ]);
    expect(world.hub.asked.every(({ authorization }) => authorization === "Bearer secret")).toBe(
      true,
    );
    expect(world.storage.asked.map(({ authorization }) => authorization)).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    const { texts } = await collect(engine, chat("What is this?", { temperature: 0 }));
    expect(texts[0]).toContain("HTTPS endpoint");
    await using again = await world.open(model);
    expect(again.model.digest).toBe(tinyDigest);
    expect(world.hub.asked).toHaveLength(4);
  });

  test("a hub's file that is not what the hub says is not kept", async () => {
    await using world = await createWorld();
    world.storage.content = Buffer.from("something else");
    await expect(world.open("hf:owner/repo/tiny.gguf")).rejects.toThrow(
      /SHA-256 .* it was deleted/,
    );
    expect(await readdir(world.folder)).not.toContain("owner--repo--tiny.gguf");
  });

  test.each([
    [404, "so there is no such file"],
    [401, "set HF_TOKEN if it is private or gated"],
  ])("a hub that answers %d is explained", async (status, reason) => {
    await using world = await createWorld();
    world.hub.failures = [status];
    await expect(world.open("hf:owner/repo/tiny.gguf")).rejects.toThrow(
      `Cannot download owner/repo/tiny.gguf at main: the hub answered ${status}`,
    );
    world.hub.failures = [status];
    await expect(world.open("hf:owner/repo/tiny.gguf")).rejects.toThrow(reason);
  });

  test("a file on disk that has another digest than its URL says is refused", async () => {
    await using world = await createWorld();
    const address = `${world.storage.url}/blob.gguf`;
    const name = storedFileName({ kind: "url", url: address, sha256: null });
    await writeFile(join(world.folder, name), world.storage.content);
    const url = `${address}#sha256=${"00".repeat(32)}`;
    await expect(world.open(url)).rejects.toMatchObject({ code: "bad_file" });
    expect(world.storage.asked).toEqual([]);
  });

  test("a split model is loaded from its first part, and its identity is that of all parts", async () => {
    await using world = await createWorld();
    const first = await splitGguf(bundledModelPath(), world.folder, 3);
    await using engine = await world.open(first);
    const { digest } = await modelDigest(readGguf(first).paths, {
      cacheFolder: null,
      signal: never,
    });
    expect(engine.model).toMatchObject({ digest, parameterCount: 1_752_800 });
    expect(digest).not.toBe(tinyDigest);
    const { texts } = await collect(engine, chat("What is this?", { temperature: 0 }));
    expect(texts[0]).toContain("HTTPS endpoint");
  });

  test("a kept model is served by its name, and not when it is another one by now", async () => {
    await using world = await createWorld();
    const path = join(world.folder, "kept.gguf");
    await writeFile(path, world.hub.content);
    const source = parseModelSource(path);
    if (!isGgufSource(source)) throw new Error("a file is a source of GGUF");
    await addModel({
      name: "kept",
      source,
      sourceText: path,
      manifest: null,
      options: {
        ...openEngineDefaults,
        slots: 1,
        modelsFolder: world.folder,
        freeBytes: 2 ** 40,
        hubUrl: world.hub.url,
        signal: never,
        log: () => {},
      },
      nowMs: 1,
    });
    const store = new ModelStore(world.folder);
    const engine = await world.openSource({ kind: "stored", name: "kept" });
    expect(engine.model.digest).toBe(tinyDigest);
    await engine[Symbol.asyncDispose]();
    expect((await store.get("kept"))?.last_used_ms).toBeGreaterThan(1);
    const other = Buffer.from(world.hub.content);
    other[other.length - 100] = (other[other.length - 100] ?? 0) ^ 1;
    await writeFile(path, other);
    await expect(world.openSource({ kind: "stored", name: "kept" })).rejects.toThrow(
      new RegExp(`its SHA-256 is .* and should be ${tinyDigest}$`),
    );
    await store.remove("kept");
    await expect(world.openSource({ kind: "stored", name: "kept" })).rejects.toThrow(
      "Cannot use kept: no model is kept under it; see octo-worker models list",
    );
  });

  test("another chat template makes another model of the same file", async () => {
    await using world = await createWorld();
    const path = join(world.folder, "template.jinja");
    await writeFile(path, "{% for message in messages %}{{ message['content'] }}{% endfor %}");
    await using engine = await world.open("octo-tiny", { chatTemplateFile: path });
    expect(engine.model.digest).not.toBe(tinyDigest);
    await using other = await world.open("octo-tiny", { chatTemplateFile: path });
    expect(other.model.digest).toBe(engine.model.digest);
    const question = chat("What is this?", { temperature: 0 });
    const plain = await collect(engine, question);
    await using own = await world.open("octo-tiny");
    // Two marks, a role and two ends of lines less around the question.
    const whole = await collect(own, question);
    expect(plain.end.usage.prompt).toBeLessThan(whole.end.usage.prompt);
    await expect(world.open("octo-tiny", { chatTemplateFile: "/nowhere" })).rejects.toThrow(
      "Cannot read the chat template /nowhere",
    );
  });

  test("a file that is no model is refused before anything is loaded", async () => {
    await using world = await createWorld();
    const path = join(world.folder, "page.gguf");
    await writeFile(path, "<html>");
    await expect(world.open(path)).rejects.toMatchObject({ code: "bad_file" });
  });
});
