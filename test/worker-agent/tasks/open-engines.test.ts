import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { readInputs } from "../../../worker-agent/cli/find-settings.ts";
import { readConfig } from "../../../worker-agent/config.ts";
import { hardwareOf, readMachine } from "../../../worker-agent/hardware/machine.ts";
import { bundledModelPath } from "../../../worker-agent/models/model-source.ts";
import { openEngines } from "../../../worker-agent/tasks/open-engines.ts";
import { writeEmbedder } from "../../helpers/onnx-models.ts";
import { until } from "../../helpers/until.ts";
import { scratchFolder } from "../models/scratch-folder.ts";

const never = new AbortController().signal;

async function open(
  stateDir: string,
  models: readonly string[],
  memory: string,
  gpu: "auto" | "none" = "none",
) {
  const flags = {
    model: models,
    stateDir: [stateDir],
    memory: [memory],
    slots: ["1"],
    context: ["256"],
    benchmark: ["never"],
    gpu: [gpu],
  };
  const config = readConfig(readInputs(flags, {}, stateDir));
  const hardware = hardwareOf(await readMachine(), "none");
  return openEngines(config, never, () => undefined, hardware);
}

test("a model that does not fit is left out where another can be served, with its sum", async () => {
  await using scratch = await scratchFolder();
  await using opened = await open(scratch.path, ["synthetic:words", "octo-tiny"], "2MiB");
  expect(opened.engines.map(({ name }) => name)).toEqual(["words"]);
  expect(opened.unserved).toEqual([
    { name: "octo-tiny", reason: expect.stringMatching(/needs \d+ MiB of memory/) },
  ]);
});

test("where no model fits the worker does not start, and says why", async () => {
  await using scratch = await scratchFolder();
  await expect(open(scratch.path, ["octo-tiny"], "2MiB")).rejects.toMatchObject({
    code: "does_not_fit",
  });
});

test("a model that is none stops the start, whatever else could be served", async () => {
  await using scratch = await scratchFolder();
  const missing = join(scratch.path, "missing.gguf");
  await expect(open(scratch.path, ["synthetic:words", missing], "90%")).rejects.toMatchObject({
    name: "ModelError",
  });
});

test("models that do not fit together take turns, and each answers", async () => {
  await using scratch = await scratchFolder();
  const folder = scratch.path;
  const paths = ["one.gguf", "two.gguf"].map((name) => join(folder, name));
  for (const path of paths) copyFileSync(bundledModelPath(), path);
  // Room for one of them, whatever llama.cpp needs of it.
  const alone = await open(folder, ["synthetic:words", "octo-tiny"], "2MiB");
  await alone[Symbol.asyncDispose]();
  const need = /needs (\d+) MiB/.exec(alone.unserved[0]?.reason ?? "")?.[1];
  await using opened = await open(folder, paths, `${need}MiB`);
  expect(opened.engines.map(({ name }) => name)).toEqual(["one", "two"]);
  expect(opened.engines.map(({ name }) => opened.pool.isLoaded(name))).toEqual([false, true]);
  for (const { name, engine } of opened.engines) {
    expect((await engine.tokenize("Once upon a time", never)).length).toBeGreaterThan(0);
    expect(opened.pool.isLoaded(name)).toBe(true);
  }
  expect(opened.pool.isLoaded("one")).toBe(false);
});

test("ONNX models share the memory given, take turns, and are opened again", async () => {
  await using scratch = await scratchFolder();
  const folder = scratch.path;
  const models = ["one", "two"].map((name) => `onnx:${writeEmbedder(join(folder, name))}`);
  const alone = await open(folder, models.slice(0, 1), "90%");
  const held = alone.pool.heldBytes;
  expect(held).toBe(alone.engines[0]?.engine.model.weightBytes);
  alone.pool.reopen("one");
  expect(alone.pool.isLoaded("one")).toBe(false);
  await until("it is loaded again", () => alone.pool.isLoaded("one"));
  await alone[Symbol.asyncDispose]();
  // A thousand bytes: room for one of them.
  expect(held).toBeGreaterThan(500);
  await using opened = await open(folder, models, "0.001MB");
  const loaded = () => opened.engines.map(({ name }) => opened.pool.isLoaded(name));
  expect(loaded()).toEqual([false, true]);
  const [one] = opened.engines;
  expect(await one?.engine.tokenize("red blue", never)).toHaveLength(2);
  expect(loaded()).toEqual([true, false]);
});

/** An nvidia-smi of a card that tells `free`; gives how often it was asked so far. */
function fakeSmi(folder: string, free: string): () => number {
  const calls = join(folder, "calls");
  const bin = join(folder, "bin");
  mkdirSync(bin);
  writeFileSync(calls, "");
  const line = `0, GPU-0a-1, NVIDIA L4, 23034, ${free}, 550.54, Disabled`;
  const script = `#!/bin/sh\nprintf x >> '${calls}'\necho '${line}'\n`;
  writeFileSync(join(bin, "nvidia-smi"), script, { mode: 0o755 });
  vi.stubEnv("PATH", `${bin}:${process.env["PATH"] ?? ""}`);
  return () => readFileSync(calls, "utf8").length;
}

test("what a task waits for until the free memory is known counts as loading", async () => {
  await using scratch = await scratchFolder();
  const asked = fakeSmi(scratch.path, "22000");
  const clock = performance.now.bind(performance);
  // Each answer takes ten seconds.
  const spy = vi.spyOn(performance, "now").mockImplementation(() => clock() + 10_000 * asked());
  try {
    await using opened = await open(scratch.path, ["octo-tiny"], "90%", "auto");
    expect(asked()).toBeGreaterThan(0);
    // A model that is slow to load makes no room.
    expect(await opened.pool.makeRoom()).toBe(false);
  } finally {
    spy.mockRestore();
    vi.unstubAllEnvs();
  }
});

test("cards that do not tell what is free are looked at once", async () => {
  await using scratch = await scratchFolder();
  const asked = fakeSmi(scratch.path, "[N/A]");
  try {
    await using opened = await open(scratch.path, ["octo-tiny"], "90%", "auto");
    // Once by this test, which tells the hardware, and once for the models.
    expect(asked()).toBe(2);
    expect(await opened.pool.makeRoom()).toBe(true);
    expect(await opened.engines[0]?.engine.tokenize("Once", never)).not.toHaveLength(0);
    expect(asked()).toBe(2);
  } finally {
    vi.unstubAllEnvs();
  }
});
