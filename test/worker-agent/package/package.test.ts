import type { ChildProcess } from "node:child_process";
import { execFile, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FakeHub, until } from "../../helpers/fake-hub.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "octo-package-"));
const bin = join(folder, "node_modules", ".bin", "octo-worker");
const run = promisify(execFile);

/** The Node of this repository, and the machine's own where there is one. */
const ofMachine = (process.env["PATH"] ?? "")
  .split(delimiter)
  .map((at) => join(at, "node"))
  .find((path) => !path.includes("node_modules") && existsSync(path));
const runtimes = [process.execPath, ...(ofMachine === undefined ? [] : [ofMachine])];

beforeAll(async () => {
  await run("npm", ["pack", "-w", "octo-worker", "--pack-destination", folder], { cwd: root });
  const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz")) ?? "";
  writeFileSync(join(folder, "package.json"), '{"private":true}');
  // The engine's binaries are hundreds of megabytes, optional, and not needed to get listed.
  const flags = ["--prefer-offline", "--ignore-scripts", "--omit=optional", "--no-audit"];
  await run("npm", ["install", ...flags, join(folder, tarball)], { cwd: folder });
}, 300_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function ask(runtime: string, ...args: string[]): Promise<string> {
  return (await run(runtime, [bin, ...args], { cwd: folder })).stdout;
}

test("the package holds the bundle, the model and its papers, and no source", () => {
  const inside = readdirSync(join(folder, "node_modules", "octo-worker")).toSorted();
  const papers = ["CHANGELOG.md", "LICENSE", "README.md"];
  expect(inside).toEqual([...papers, "assets", "dist", "package.json"]);
  expect(readdirSync(join(folder, "node_modules", "octo-worker", "dist")).toSorted()).toEqual([
    "licenses.txt",
    "octo-worker.js",
    "transformers-thread.js",
  ]);
});

describe.each(runtimes)("installed, under %s", (runtime) => {
  const state = join(folder, `state-${runtimes.indexOf(runtime)}`);

  test("it explains itself", async () => {
    expect(await ask(runtime, "--help")).toContain("Usage: octo-worker");
  });

  test("it makes an identity and finds everything well, its bundled model included", async () => {
    await using hub = await FakeHub.start();
    mkdirSync(state, { recursive: true });
    const flags = ["--state-dir", state, "--edge", hub.edge];
    expect(await ask(runtime, "init", ...flags)).toContain("Worker");
    const found = await ask(runtime, "doctor", ...flags);
    expect(found).toContain("octo-tiny: llama");
    expect(found).not.toContain("✗");
  });

  test("an ONNX model without the package that runs it ends the start with what to install", async () => {
    await using hub = await FakeHub.start();
    const flags = ["--state-dir", state, "--edge", hub.edge, "--model", `onnx:${folder}`];
    const failed = await run(runtime, [bin, "start", ...flags], { cwd: folder }).then(
      () => null,
      (error: { code: number; stderr: string }) => error,
    );
    expect(failed?.code).toBe(1);
    expect(failed?.stderr).toContain(
      "Cannot serve ONNX models: @huggingface/transformers is not installed; run " +
        "`npm install --global octo-worker @huggingface/transformers`",
    );
    const told = await run(runtime, [bin, "doctor", ...flags], { cwd: folder }).then(
      ({ stdout }) => stdout,
      (error: { stdout: string }) => error.stdout,
    );
    expect(told).toContain("@huggingface/transformers is not installed");
  });

  test("it gets listed, says so in its status, and leaves in order when told to", async () => {
    await using hub = await FakeHub.start();
    const flags = ["--state-dir", state, "--edge", hub.edge, "--model", "synthetic:words"];
    const worker = spawn(runtime, [bin, "start", ...flags], { stdio: "pipe" });
    const lines: string[] = [];
    worker.stdout.on("data", (data) => lines.push(String(data)));
    worker.stderr.on("data", (data) => lines.push(String(data)));
    try {
      const session = await hub.serving();
      session.offer();
      await session.next("task.end");
      await until("the status is written", () => existsSync(join(state, "status.json")));
      const status: unknown = JSON.parse(
        await ask(runtime, "status", "--json", "--state-dir", state),
      );
      expect(status).toMatchObject({ running: true, pid: worker.pid });
      worker.kill("SIGTERM");
      expect(await exitOf(worker)).toBe(0);
      expect((await session.untilClosed()).code).toBe(1000);
      const said = lines.join("");
      for (const message of ["Identity", "Model", "Connected", "Listed", "Task complete"]) {
        expect(said).toContain(`"message":"${message}"`);
      }
      expect(said).not.toContain("Warning");
    } finally {
      worker.kill("SIGKILL");
    }
  });
});

async function exitOf(worker: ChildProcess): Promise<number | null> {
  await until("the worker has ended", () => worker.exitCode !== null || worker.signalCode !== null);
  return worker.exitCode;
}
