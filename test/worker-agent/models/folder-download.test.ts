import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { canonicalJson } from "../../../shared/crypto/jcs.ts";
import { fetchFolder } from "../../../worker-agent/models/folder-download.ts";
import { folderDigest, readFolder } from "../../../worker-agent/models/folder-model.ts";
import { parseFolderSource } from "../../../worker-agent/models/folder-source.ts";
import { writeEmbedder, writeExternalEmbedder, writeFiles } from "../../helpers/onnx-models.ts";
import type { FileServer } from "./file-server.ts";
import { startFileServer } from "./file-server.ts";
import { scratchFolder } from "./scratch-folder.ts";

const never = new AbortController().signal;
const commit = "ab".repeat(20);
const source = parseFolderSource("onnx:hf:owner/model");

/** Serves a folder as a hub serves a repository. */
function serveFolder(hub: FileServer, folder: string): string[] {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
  const siblings = files.map((rfilename) => ({ rfilename }));
  const listing = Buffer.from(JSON.stringify({ sha: commit, siblings }));
  hub.contentByPath.set("/api/models/owner/model/revision/main", listing);
  for (const file of files) {
    const path = `/owner/model/resolve/${commit}/${file}`;
    hub.contentByPath.set(path, readFileSync(join(folder, file)));
  }
  return files;
}

function optionsFor(hub: FileServer, modelsFolder: string, signal = never) {
  const digestFolder = join(modelsFolder, "digests");
  return { modelsFolder, digestFolder, hubUrl: hub.url, hubToken: "secret", signal };
}

test("a hub's model is fetched whole from one commit, once, and without what it does not use", async () => {
  await using hub = await startFileServer(Buffer.alloc(0));
  await using scratch = await scratchFolder();
  const original = writeExternalEmbedder(join(scratch.path, "original"));
  writeFiles(original, { "README.md": "about", "onnx/model_q4.onnx": "another form" });
  serveFolder(hub, original);
  const options = optionsFor(hub, join(scratch.path, "models"));

  const folder = await fetchFolder(source, options);
  const model = await readFolder(folder, source);
  expect(folder).toBe(join(scratch.path, "models", "owner--model"));
  expect(model.files).toEqual([
    "1_Pooling/config.json",
    "config.json",
    "modules.json",
    "onnx/model.onnx",
    "onnx/model.onnx_data",
    "tokenizer.json",
    "tokenizer_config.json",
  ]);
  for (const file of model.files) {
    expect(readFileSync(join(folder, file))).toEqual(readFileSync(join(original, file)));
  }
  expect(existsSync(join(folder, "README.md"))).toBe(false);
  expect(existsSync(join(folder, "onnx/model_q4.onnx"))).toBe(false);
  expect(new Set(hub.asked.map(({ authorization }) => authorization))).toEqual(
    new Set(["Bearer secret"]),
  );

  hub.asked.length = 0;
  expect(await fetchFolder(source, options)).toBe(folder);
  expect(hub.asked).toEqual([]);
});

test("the identity of a model is the hash of its files' names and hashes", async () => {
  await using scratch = await scratchFolder();
  const folder = writeEmbedder(join(scratch.path, "model"));
  const { files } = await readFolder(folder, source);
  const hash = (content: Buffer | string): string =>
    createHash("sha256").update(content).digest("hex");
  const digests = files.map((file) => [file, hash(readFileSync(join(folder, file)))] as const);
  const expected = hash(canonicalJson(Object.fromEntries(digests)));
  const options = { cacheFolder: null, signal: never };
  expect(await folderDigest({ folder, files }, options)).toBe(expected);
});

test("a fetch that was broken off goes on with what is missing", async () => {
  await using hub = await startFileServer(Buffer.alloc(0));
  await using scratch = await scratchFolder();
  serveFolder(hub, writeExternalEmbedder(join(scratch.path, "original")));
  const options = optionsFor(hub, join(scratch.path, "models"));
  const folder = await fetchFolder(source, options);
  rmSync(join(folder, "onnx/model.onnx_data"));
  hub.asked.length = 0;
  await fetchFolder(source, options);
  const gets = hub.asked.filter(({ method }) => method === "GET").map(({ path }) => path);
  expect(new Set(gets)).toEqual(
    new Set([
      "/api/models/owner/model/revision/main",
      `/owner/model/resolve/${commit}/onnx/model.onnx_data`,
    ]),
  );
});

test("another form of the weights is another folder", async () => {
  await using hub = await startFileServer(Buffer.alloc(0));
  await using scratch = await scratchFolder();
  const original = writeEmbedder(join(scratch.path, "original"));
  writeFiles(original, {
    "onnx/model_quantized.onnx": readFileSync(join(original, "onnx/model.onnx")),
  });
  serveFolder(hub, original);
  const wished = parseFolderSource("onnx:hf:owner/model?dtype=q8");
  const folder = await fetchFolder(wished, optionsFor(hub, join(scratch.path, "models")));
  expect(folder).toContain(join(scratch.path, "models", "owner--model--q8"));
  expect((await readFolder(folder, wished)).dtype).toBe("q8");
  expect(existsSync(join(folder, "onnx/model.onnx"))).toBe(false);
});

test("a revision named like a form of the weights is another folder", async () => {
  await using hub = await startFileServer(Buffer.alloc(0));
  await using scratch = await scratchFolder();
  const original = writeEmbedder(join(scratch.path, "original"));
  writeFiles(original, {
    "onnx/model_fp16.onnx": readFileSync(join(original, "onnx/model.onnx")),
  });
  serveFolder(hub, original);
  const listing = hub.contentByPath.get("/api/models/owner/model/revision/main");
  hub.contentByPath.set("/api/models/owner/model/revision/fp16", listing ?? Buffer.alloc(0));
  const options = optionsFor(hub, join(scratch.path, "models"));
  const form = await fetchFolder(parseFolderSource("onnx:hf:owner/model?dtype=fp16"), options);
  const revision = await fetchFolder(parseFolderSource("onnx:hf:owner/model@fp16"), options);
  expect(revision).not.toBe(form);
  expect(existsSync(join(revision, "onnx/model.onnx"))).toBe(true);
});

test("what a hub does not have is said by name", async () => {
  await using hub = await startFileServer(Buffer.alloc(0));
  await using scratch = await scratchFolder();
  const original = writeEmbedder(join(scratch.path, "original"));
  const fetch = () => fetchFolder(source, optionsFor(hub, join(scratch.path, "models")));

  rmSync(join(original, "tokenizer.json"));
  serveFolder(hub, original);
  await expect(fetch()).rejects.toThrow("Cannot download owner/model: it has no tokenizer.json");
  writeEmbedder(original);
  rmSync(join(original, "onnx/model.onnx"));
  serveFolder(hub, original);
  await expect(fetch()).rejects.toThrow("it has no onnx/model.onnx in any form");
  hub.contentByPath.set("/api/models/owner/model/revision/main", Buffer.from("{}"));
  await expect(fetch()).rejects.toThrow("the hub does not list its files");
  for (const [status, reason] of [
    [401, "set HF_TOKEN to a token that may read it"],
    [404, "the hub has no such model at main"],
    [418, "the hub answers 418"],
  ] as const) {
    hub.failures = [status];
    await expect(fetch()).rejects.toMatchObject({
      code: "download_failed",
      message: expect.stringContaining(reason) as string,
    });
  }
});

test("a hub that is not there, and an abort, end the fetch", async () => {
  await using scratch = await scratchFolder();
  const gone = await startFileServer(Buffer.alloc(0));
  await gone[Symbol.asyncDispose]();
  const options = optionsFor(gone, join(scratch.path, "models"));
  await expect(fetchFolder(source, options)).rejects.toThrow(`Cannot reach ${gone.url}`);
  const aborted = optionsFor(gone, join(scratch.path, "models"), AbortSignal.abort("stop"));
  await expect(fetchFolder(source, aborted)).rejects.toBe("stop");
});

test("weights outside the model's folder are not followed", async () => {
  await using scratch = await scratchFolder();
  const folder = writeExternalEmbedder(join(scratch.path, "model"), "../../secret");
  mkdirSync(join(scratch.path, "secret"));
  await expect(readFolder(folder, source)).rejects.toThrow(
    "onnx/model.onnx has its weights outside of it, at ../../secret",
  );
});
