import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { DownloadProgress } from "../../../worker-agent/models/download.ts";
import {
  askedBytes,
  breakAt,
  content,
  createWorld,
  half,
  mend,
  ranges,
  sha256,
} from "./download-world.ts";
import { startOf } from "../../../worker-agent/state/lock.ts";
import { startFileServer } from "./file-server.ts";

describe("downloading a model", () => {
  test("gives the file its name once it is whole, with progress on the way", async () => {
    await using world = await createWorld();
    const seen: DownloadProgress[] = [];
    const path = await world.download({ onProgress: (progress) => seen.push(progress) });
    expect(path).toBe(join(world.folder, "model.gguf"));
    expect(await readFile(path)).toEqual(content);
    expect(await world.files()).toEqual(["model.gguf"]);
    expect(seen.at(-1)).toMatchObject({
      receivedBytes: content.length,
      totalBytes: content.length,
    });
    expect(seen.at(-1)?.bytesPerSecond).toBeGreaterThan(0);
    expect(seen.at(-1)?.secondsLeft).toBe(0);
  });

  test("takes several ranges at once, each byte once", async () => {
    await using world = await createWorld();
    world.server.together = 4;
    expect(await readFile(await world.download())).toEqual(content);
    expect(ranges(world.server).length).toBeGreaterThan(4);
    expect(askedBytes(world.server)).toBe(content.length);
  });

  test("takes a small file in one piece", async () => {
    await using world = await createWorld();
    await world.download({}, { pieceBytesLeast: content.length });
    expect(ranges(world.server)).toEqual([`bytes=0-${content.length - 1}`]);
  });

  test("cut in the middle goes on where it was cut", async () => {
    await using world = await createWorld();
    world.server.cuts = [half];
    expect(await readFile(await world.download({}, { connections: 1 }))).toEqual(content);
    world.server.asked.length = 0;
    world.server.cuts = [half];
    await world.download({}, { connections: 1, pieceBytesLeast: content.length });
    const [whole, rest] = ranges(world.server);
    expect(whole).toBe(`bytes=0-${content.length - 1}`);
    expect(rest).toMatch(new RegExp(`^bytes=[1-9]\\d*-${content.length - 1}$`));
  });

  test("cut at any byte, again and again, is whole in the end", async () => {
    await using world = await createWorld();
    world.server.cuts = [1, 2, 65_535, 65_536, 65_537, 100_000, 3, 4096, 4097];
    expect(await readFile(await world.download())).toEqual(content);
  });

  test("given up in the middle goes on where it was in the next call", async () => {
    await using world = await createWorld();
    breakAt(world.server, 6);
    await expect(world.download({}, { attemptsMax: 1 })).rejects.toMatchObject({
      code: "download_failed",
      message: expect.stringMatching(
        /the server answered 503 .*; [1-9]\d+ bytes are kept to resume$/,
      ),
    });
    expect(await world.files()).toEqual([
      expect.stringMatching(/^model\.gguf\.[0-9a-f]{16}\.part$/),
    ]);
    mend(world.server);
    world.server.asked.length = 0;
    expect(await readFile(await world.download())).toEqual(content);
    expect(askedBytes(world.server)).toBeLessThan(content.length);
    expect(await world.files()).toEqual(["model.gguf"]);
  });

  test("aborted keeps what it has, and goes on in the next call", async () => {
    await using world = await createWorld();
    const abort = new AbortController();
    const aborted = world.download({ signal: abort.signal, onProgress: () => abort.abort() });
    await expect(aborted).rejects.toMatchObject({ name: "AbortError" });
    expect(await world.files()).toEqual([expect.stringMatching(/\.part$/)]);
    expect(await readFile(await world.download())).toEqual(content);
  });

  test("goes on in the part of a process that is gone, and not of one that lives", async () => {
    await using world = await createWorld();
    breakAt(world.server, 6);
    await expect(world.download({}, { attemptsMax: 1 })).rejects.toThrow();
    const [free = ""] = await world.files();
    const part = await readFile(join(world.folder, free));
    // Process 1 always lives, and no process has so high an id. A container that starts again has
    // the name and the process of the one that was killed, but another start.
    const { pid: own } = process;
    const start = startOf(own);
    const owners: [string, boolean][] = [
      ["1", false],
      [`${2 ** 22 + 7}`, true],
    ];
    // Only Linux tells when a process started.
    if (start !== null) owners.push([`${own}_${start}`, false], [`${own}_1`, true]);
    for (const [pid, isResumed] of owners) {
      await using other = await createWorld();
      const owned = free.replace(/part$/, `${hostname()}-${pid}-0badf00d.part`);
      await writeFile(join(other.folder, owned), part);
      expect(await readFile(await other.download())).toEqual(content);
      expect(askedBytes(other.server) < content.length).toBe(isResumed);
      expect(await other.files()).toEqual(isResumed ? ["model.gguf"] : ["model.gguf", owned]);
    }
  });

  test("twice at once gives one whole file", async () => {
    await using world = await createWorld();
    const paths = await Promise.all([world.download(), world.download(), world.download()]);
    expect(new Set(paths).size).toBe(1);
    expect(await readFile(paths[0] ?? "")).toEqual(content);
    expect(await world.files()).toEqual(["model.gguf"]);
  });

  test("starts over where the server knows no ranges", async () => {
    await using world = await createWorld();
    world.server.knowsRanges = false;
    world.server.cuts = [half];
    expect(await readFile(await world.download())).toEqual(content);
  });

  test("starts over where the server names no version", async () => {
    await using world = await createWorld();
    world.server.etag = null;
    world.server.cuts = [half];
    expect(await readFile(await world.download())).toEqual(content);
    expect(ranges(world.server)).toEqual([undefined, undefined]);
    expect(await world.files()).toEqual(["model.gguf"]);
  });

  test("never mixes two versions of a file", async () => {
    await using world = await createWorld();
    breakAt(world.server, 6);
    await expect(world.download({}, { attemptsMax: 1 })).rejects.toThrow();
    mend(world.server);
    world.server.content = randomBytes(1 << 20);
    world.server.etag = '"second"';
    expect(await readFile(await world.download())).toEqual(world.server.content);
    expect(await world.files()).toEqual(["model.gguf"]);
  });

  test("starts over where the version changes between two attempts", async () => {
    await using world = await createWorld();
    const second = randomBytes(1 << 20);
    world.server.cuts = [half];
    const downloading = world.download({
      sha256: sha256(second),
      onProgress: () => {
        world.server.content = second;
        world.server.etag = '"second"';
      },
    });
    expect(await readFile(await downloading)).toEqual(second);
    expect(await world.files()).toEqual(["model.gguf"]);
  });

  test("with another digest than promised is deleted, and says both", async () => {
    await using world = await createWorld();
    const promised = "00".repeat(32);
    await expect(world.download({ sha256: promised })).rejects.toMatchObject({
      code: "download_failed",
      message:
        `Cannot use the download of ${world.server.url}/model.gguf: its SHA-256 is ` +
        `${sha256(content)} and should be ${promised}; it was deleted`,
    });
    expect(await world.files()).toEqual([]);
  });

  test("is tried again after a busy server, and not after a missing file", async () => {
    await using world = await createWorld();
    world.server.failures = [503, 429];
    expect(await readFile(await world.download())).toEqual(content);
    world.server.asked.length = 0;
    world.server.failures = [404];
    await expect(world.download()).rejects.toThrow("the server answered 404 Not Found");
    expect(world.server.asked).toHaveLength(1);
  });

  test("gives up on a server that stays busy, with its answer", async () => {
    await using world = await createWorld();
    world.server.failures = [503, 503, 503];
    await expect(world.download({}, { attemptsMax: 3 })).rejects.toThrow(/the server answered 503/);
  });

  test("gives up on a server that is not there", async () => {
    await using world = await createWorld();
    const url = "http://127.0.0.1:9/model.gguf";
    await expect(world.download({ url }, { attemptsMax: 2 })).rejects.toMatchObject({
      code: "download_failed",
    });
  });

  test("follows a redirect without handing on the token", async () => {
    await using world = await createWorld();
    await using storage = await startFileServer(content);
    world.server.redirect = `${storage.url}/blob`;
    expect(await readFile(await world.download({ token: "secret" }))).toEqual(content);
    expect(world.server.asked[0]?.authorization).toBe("Bearer secret");
    expect(storage.asked.length).toBeGreaterThan(1);
    expect(storage.asked.every(({ authorization }) => authorization === undefined)).toBe(true);
  });

  test("ends a loop of redirects", async () => {
    await using world = await createWorld();
    world.server.redirect = `${world.server.url}/model.gguf`;
    await expect(world.download()).rejects.toThrow("more than 5 redirects");
  });
});
