import { createHash } from "node:crypto";
import { mkdir, rename, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { fileDigest } from "../../../worker-agent/models/digest.ts";
import { scratchFolder } from "./scratch-folder.ts";

const never = new AbortController().signal;

function sha256(content: Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}

test("a file is hashed with progress, and not read again until it changes", async () => {
  await using folder = await scratchFolder();
  const path = join(folder.path, "model.gguf");
  const cacheFolder = join(folder.path, "digests");
  const content = Buffer.alloc(3 << 20, 7);
  await writeFile(path, content);
  const reads: number[] = [];
  const options = { cacheFolder, signal: never, onProgress: (done: number) => reads.push(done) };
  expect(await fileDigest(path, options)).toBe(sha256(content));
  expect(reads.at(-1)).toBe(content.length);

  reads.length = 0;
  const moved = join(folder.path, "renamed.gguf");
  await rename(path, moved);
  expect(await fileDigest(moved, options)).toBe(sha256(content));
  expect(reads).toEqual([]);

  content[0] = 8;
  await writeFile(moved, content);
  await utimes(moved, 1, 2);
  expect(await fileDigest(moved, options)).toBe(sha256(content));
  expect(reads).not.toEqual([]);
});

test("a broken memory of digests is not believed", async () => {
  await using folder = await scratchFolder();
  const path = join(folder.path, "model.gguf");
  await writeFile(path, "content");
  const options = { cacheFolder: join(folder.path, "digests"), signal: never };
  const { dev, ino, size, mtimeMs } = await import("node:fs/promises").then((fs) => fs.stat(path));
  await mkdir(options.cacheFolder);
  await writeFile(join(options.cacheFolder, `${dev}-${ino}-${size}-${mtimeMs}`), "half a dig");
  expect(await fileDigest(path, options)).toBe(sha256(Buffer.from("content")));
});

test("hashing ends when it is aborted", async () => {
  await using folder = await scratchFolder();
  const path = join(folder.path, "model.gguf");
  await writeFile(path, Buffer.alloc(4 << 20));
  const abort = new AbortController();
  const onProgress = (): void => abort.abort();
  const hashing = fileDigest(path, { cacheFolder: null, signal: abort.signal, onProgress });
  await expect(hashing).rejects.toMatchObject({ name: "AbortError" });
});
