import { expect, test } from "vitest";
import { readFile } from "node:fs/promises";
import { addModel } from "../../../worker-agent/models/add-model.ts";
import { loadManifest } from "../../../worker-agent/models/model-manifest.ts";
import { bundledModelPath, parseModelSource } from "../../../worker-agent/models/model-source.ts";
import { isGgufSource } from "../../../worker-agent/models/fetch-model.ts";
import { shownUrl } from "../../../worker-agent/models/shown-url.ts";
import { createWorld } from "./download-world.ts";
import { startFileServer } from "./file-server.ts";
import { scratchFolder } from "./scratch-folder.ts";

const signal = new AbortController().signal;

test.each([
  ["https://h.example/a.gguf", "https://h.example/a.gguf"],
  ["https://bob:s3cret@h.example/a.gguf", "https://…@h.example/a.gguf"],
  ["https:bob:s3cret@h.example/a.gguf", "https://…@h.example/a.gguf"],
  ["https://h.example/a.gguf?sig=s3cret#sha256=ab", "https://h.example/a.gguf?…#sha256=ab"],
  ["https://bob:s3/cret@h.example:x/a.gguf?s3cret", "https://…@h.example:x/a.gguf?…"],
  ["hf:owner/repo@v1", "hf:owner/repo@v1"],
  ["/models/what?.gguf", "/models/what?.gguf"],
])("%s is shown as %s", (text, shown) => {
  expect(shownUrl(text)).toBe(shown);
});

test("a URL with a password is refused at once, and not repeated", () => {
  const parse = () => parseModelSource("https://bob:s3cret@h.example/a.gguf");
  expect(parse).toThrow("it holds a password");
  expect(parse).not.toThrow("s3cret");
});

test("the password of a manifest's URL is not repeated", async () => {
  const failed = loadManifest("https://bob:s3cret@h.example/m.json", signal);
  await expect(failed).rejects.toThrow(
    "Cannot use the manifest https://…@h.example/m.json: it holds a password",
  );
});

test("what a signed URL keeps in its query is in no sentence of its download", async () => {
  await using world = await createWorld();
  const url = `${world.server.url}/model.gguf?sig=s3cret`;
  const shown = `${world.server.url}/model.gguf?…`;
  world.server.failures = [404];
  await expect(world.download({ url })).rejects.toThrow(`Cannot download ${shown}: the server`);
  world.server.failures = [503];
  await expect(world.download({ url }, { attemptsMax: 1 })).rejects.toThrow(shown);
  await expect(world.download({ url, sha256: "00".repeat(32) })).rejects.toThrow(shown);
  world.server.redirect = `http://bob:s3cret@${new URL(world.server.url).host}/other`;
  await expect(world.download({ url }, { attemptsMax: 1 })).rejects.toThrow(
    `Cannot download ${shown}: more than 5 redirects`,
  );
});

test("what a signed URL keeps in its query is not kept beside the model", async () => {
  await using server = await startFileServer(await readFile(bundledModelPath()));
  await using folder = await scratchFolder();
  const sourceText = `${server.url}/model.gguf?sig=s3cret`;
  const source = parseModelSource(sourceText);
  if (!isGgufSource(source)) throw new Error("no GGUF");
  const kept = await addModel({
    name: "kept",
    source,
    sourceText,
    manifest: null,
    options: {
      modelsFolder: folder.path,
      slots: 1,
      contextTokensMax: 256,
      freeBytes: 2 ** 30,
      hubUrl: server.url,
      hubToken: null,
      signal,
      log: () => undefined,
    },
    nowMs: 1,
  });
  expect(kept.source).toBe(`${server.url}/model.gguf?…`);
});
