import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import type { FetchOptions } from "../../../worker-agent/models/fetch-model.ts";
import { fetchModel, isGgufSource } from "../../../worker-agent/models/fetch-model.ts";
import { bundledModelPath, parseModelSource } from "../../../worker-agent/models/model-source.ts";
import { startFileServer } from "./file-server.ts";
import { scratchFolder } from "./scratch-folder.ts";

/** A server whose models are the bundled one under any name. */
async function createWorld() {
  const folder = await scratchFolder();
  const server = await startFileServer(await readFile(bundledModelPath()));
  const options: FetchOptions = {
    modelsFolder: folder.path,
    slots: 1,
    contextTokensMax: null,
    freeBytes: 2 ** 30,
    hubUrl: server.url,
    hubToken: null,
    signal: new AbortController().signal,
    log: () => undefined,
  };
  return {
    server,
    fetch: (text: string) => {
      const source = parseModelSource(text);
      if (!isGgufSource(source)) throw new Error("no GGUF");
      return fetchModel(source, options);
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

test.each([
  ["/a/model.gguf", "/b/model.gguf"],
  ["/model.gguf?of=a", "/model.gguf?of=b"],
])("a model from %s is not taken for the one from %s", async (one, other) => {
  await using world = await createWorld();
  const first = await world.fetch(world.server.url + one);
  world.server.content = Buffer.concat([world.server.content, Buffer.from("another")]);
  world.server.etag = '"another"';
  const second = await world.fetch(world.server.url + other);
  expect(await readFile(second.path)).toEqual(world.server.content);
  expect(second.path).not.toBe(first.path);
  world.server.asked.length = 0;
  expect(await world.fetch(world.server.url + one)).toEqual({ ...first, isNew: false });
  expect(world.server.asked).toEqual([]);
});

test("a file in a folder of a repository is not taken for one of a revision named so", async () => {
  await using world = await createWorld();
  const deep = await world.fetch("hf:owner/repo/v1/m-Q8_0.gguf");
  expect((await world.fetch("hf:owner/repo/m-Q8_0.gguf@v1")).isNew).toBe(true);
  expect((await world.fetch("hf:owner/repo@v1")).path).not.toBe(deep.path);
});
