import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { open, readFile, readdir } from "node:fs/promises";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { until } from "../../helpers/until.ts";
import { askedBytes, content, createWorld, half, ranges, sha256 } from "./download-world.ts";

const childPath = fileURLToPath(new URL("./download-child.ts", import.meta.url));

/**
 * Makes every write of new data fail once `room` bytes are written, as a full disk does; what has
 * its place on the disk already, behind the data, can still be written over.
 */
async function fillDisk(room: number): Promise<void> {
  await using any = await open(childPath, "r");
  const prototype = Object.getPrototypeOf(any) as {
    write: (...args: unknown[]) => Promise<{ bytesWritten: number }>;
  };
  const { write } = prototype;
  let left = room;
  prototype.write = async function (this: unknown, ...args: unknown[]) {
    const isNew = Number(args[3]) < content.length;
    if (isNew && left <= 0)
      throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
    const written = await write.apply(this, args);
    if (isNew) left -= written.bytesWritten;
    return written;
  };
  onTestFinished(() => {
    prototype.write = write;
  });
}

describe("a download", () => {
  test("on a disk that fills up says so, and goes on when there is room", async () => {
    await using world = await createWorld();
    const { write } = await methodsOfFiles();
    await fillDisk(half);
    await expect(world.download()).rejects.toMatchObject({
      code: "download_failed",
      message: expect.stringMatching(/the disk of .* is full; [1-9]\d+ bytes are kept to resume$/),
    });
    expect(await world.files()).toEqual([expect.stringMatching(/\.part$/)]);
    (await methodsOfFiles()).write = write;
    world.server.asked.length = 0;
    expect(await readFile(await world.download())).toEqual(content);
    expect(askedBytes(world.server)).toBeLessThan(content.length);
  });

  test("larger than files may be says so", async () => {
    await using world = await createWorld();
    world.server.knowsRanges = false;
    const limited = `ulimit -f 512; exec "$0" "$@"`;
    const child = spawn("bash", ["-c", limited, process.execPath, childPath, ...world.child]);
    const [text] = (await once(child.stdout, "data")) as [Buffer];
    expect(String(text)).toMatch(/the disk of .* is full/);
  });

  test("is refused before it begins where the disk has no room for it", async () => {
    await using world = await createWorld();
    world.server.lie = 2 ** 45;
    await expect(world.download()).rejects.toThrow(/it needs 3518\d+ more bytes .* has \d+ free$/);
    expect(ranges(world.server)).toEqual([]);
    expect(await world.files()).toEqual([]);
  });

  test("of a killed process goes on in the next one", async () => {
    await using world = await createWorld();
    // Some answers come whole, then each stays silent until the process is dead.
    let answers = 0;
    world.server.beforeAnswer = () => {
      answers += 1;
      if (answers === 7) world.server.stalls = Array.from({ length: 100 }, () => 10_000);
    };
    const child = spawn(process.execPath, [childPath, ...world.child]);
    onTestFinished(() => void child.kill("SIGKILL"));
    await until("it is written down what came", async () => {
      const [name = ""] = answers < 9 ? [] : await readdir(world.folder);
      const part = name === "" ? Buffer.alloc(0) : await readFile(`${world.folder}/${name}`);
      return part.subarray(content.length).includes('"ranges":[[0,');
    });
    child.kill("SIGKILL");
    await once(child, "exit");
    const left = await readdir(world.folder);
    expect(left).toEqual([expect.stringMatching(/-\d+(_\d+)?-[0-9a-f]{8}\.part$/)]);
    world.server.beforeAnswer = () => undefined;
    world.server.stalls = [];
    world.server.asked.length = 0;
    expect(await readFile(await world.download())).toEqual(content);
    expect(askedBytes(world.server)).toBeLessThan(content.length);
    expect(await world.files()).toEqual(["model.gguf"]);
  });

  test("of a server that falls silent goes on over a new connection", async () => {
    await using world = await createWorld();
    world.server.stalls = [5000, 0];
    expect(await readFile(await world.download({}, { stallMs: 100 }))).toEqual(content);
  });

  test("of a server that sends more than was asked for, without end, ends", async () => {
    await using world = await createWorld();
    world.server.surplus = Buffer.alloc(1000, "x");
    expect(await readFile(await world.download({}, { attemptsMax: 1 }))).toEqual(content);
  });

  test("goes on after a busy server that asked to wait", async () => {
    await using world = await createWorld();
    world.server.failures = [429];
    world.server.retryAfter = new Date(Date.now() - 1000).toUTCString();
    expect(await readFile(await world.download())).toEqual(content);
  });

  test("gives up on a server that asks for more patience than anybody has", async () => {
    await using world = await createWorld();
    world.server.failures = [429];
    world.server.retryAfter = "86400";
    await expect(world.download()).rejects.toThrow(
      "the server answered 429 Too Many Requests and asked to wait 86400 seconds",
    );
    expect(world.server.asked).toHaveLength(1);
  });

  test("starts over where the file changes under way, and gives the new one", async () => {
    await using world = await createWorld();
    const second = randomBytes(1 << 20);
    let answers = 0;
    world.server.beforeAnswer = () => {
      answers += 1;
      if (answers !== 5) return;
      world.server.content = second;
      world.server.etag = '"second"';
    };
    expect(await readFile(await world.download({ sha256: sha256(second) }))).toEqual(second);
    expect(await world.files()).toEqual(["model.gguf"]);
  });

  test("is given up where the file never stays the same", async () => {
    await using world = await createWorld();
    let answers = 0;
    world.server.beforeAnswer = () => {
      answers += 1;
      world.server.etag = `"${answers}"`;
    };
    await expect(world.download()).rejects.toThrow(/it changes while it is fetched$/);
    expect(await world.files()).toEqual([]);
  });

  test("goes on with one connection where a server forgets about ranges", async () => {
    await using world = await createWorld();
    let answers = 0;
    world.server.beforeAnswer = () => {
      answers += 1;
      world.server.knowsRanges = answers < 5;
    };
    expect(await readFile(await world.download())).toEqual(content);
  });

  test("of a server that lets in one connection only is whole all the same", async () => {
    await using world = await createWorld();
    world.server.beforeAnswer = () => {
      // Three of four get 503 until they give up.
      if (world.server.asked.length === 5) world.server.failures = [503, 503, 503];
    };
    expect(await readFile(await world.download({}, { attemptsMax: 1 }))).toEqual(content);
  });

  test("of a server that tells a larger size than it has ends in a sentence", async () => {
    await using world = await createWorld();
    world.server.lie = 5000;
    await expect(world.download({}, { attemptsMax: 2 })).rejects.toMatchObject({
      code: "download_failed",
    });
    world.server.knowsRanges = false;
    await expect(world.download({}, { attemptsMax: 2 })).rejects.toThrow(/0 bytes are kept/);
  });

  test("does not resume in a part whose record is torn", async () => {
    await using world = await createWorld();
    const abort = new AbortController();
    const aborted = world.download({ signal: abort.signal, onProgress: () => abort.abort() });
    await expect(aborted).rejects.toMatchObject({ name: "AbortError" });
    const [name = ""] = await world.files();
    const part = await open(`${world.folder}/${name}`, "r+");
    await part.write(Buffer.alloc(16_384, "x"), 0, 16_384, content.length);
    await part.close();
    world.server.asked.length = 0;
    expect(await readFile(await world.download())).toEqual(content);
    expect(askedBytes(world.server)).toBe(content.length);
  });
});

async function methodsOfFiles(): Promise<{ write: unknown }> {
  await using any = await open(childPath, "r");
  return Object.getPrototypeOf(any) as { write: unknown };
}
