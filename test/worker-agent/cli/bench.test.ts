import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { benchmarkSchema } from "../../../worker-agent/benchmark/benchmark.ts";
import { main } from "../../../worker-agent/cli/main.ts";
import { createIdentity } from "../../../worker-agent/identity.ts";
import { hardwareSchema } from "../../../shared/protocol/listing.ts";
import { takeLock } from "../../../worker-agent/state/lock.ts";
import { until } from "../../helpers/until.ts";

const reportSchema = z.object({
  hardware: hardwareSchema,
  models: z.array(
    z.object({
      model: z.string(),
      engine: z.string(),
      memory: z.string().nullable(),
      benchmark: benchmarkSchema.extend({ best_slots: z.int() }).nullable(),
    }),
  ),
});

function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "octo-bench-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "state");
}

async function run(...args: readonly string[]) {
  const lines: string[] = [];
  const errors: string[] = [];
  const code = await main([...args, "--upstream", "none"], {
    write: (line) => lines.push(line),
    error: (line) => errors.push(line),
    isInteractive: false,
    paint: (_style, text) => text,
  });
  return { code, lines, errors };
}

test("bench measures the bundled model, and keeps it for the next start", async () => {
  const folder = scratchFolder();
  const flags = ["--state-dir", folder, "--slots", "2", "--gpu", "none"];
  const { code, lines, errors } = await run("bench", ...flags, "--json");
  expect([code, errors]).toEqual([0, []]);
  const report = reportSchema.parse(JSON.parse(lines.join("\n")));
  expect(report.hardware.tier).toBe("consumer");
  const [tiny] = report.models;
  expect(tiny).toMatchObject({ model: "octo-tiny", engine: "llama.cpp" });
  expect(tiny?.memory).toMatch(/^\d+ MiB of memory \(.* for weights .* for 2 slots.*were free$/);
  expect(tiny?.benchmark?.curve.map(({ streams }) => streams)).toEqual([1, 2]);
  expect(readFileSync(join(folder, "benchmarks.json"), "utf8")).toContain('"version":1');
});

test("people get a table with the best number of slots in it", async () => {
  const folder = scratchFolder();
  await createIdentity(folder);
  const lock = await takeLock(folder);
  const { code, lines, errors } = await run("bench", "--state-dir", folder, "--gpu", "none");
  lock.release();
  expect(code).toBe(0);
  expect(errors[0]).toContain(`runs here (process ${process.pid})`);
  const text = lines.join("\n");
  expect(text).toMatch(/^Machine {3}\S/);
  expect(text).toMatch(/\nTier {6}consumer\n/);
  expect(text).toMatch(/First token +[\d.]+ ms\n/);
  expect(text).toMatch(/\n +1 +[\d.e+]+ +[\d.e+]+/);
  expect(text).toMatch(/best\n/);
  expect(text).toMatch(/Best slots +\d+\n/);
  expect(text).toMatch(/Context tested {2}\d+ of \d+ tokens/);
});

test("a model that cannot be measured is said so, with exit code 1", async () => {
  const { code, lines } = await run(
    "bench",
    "--state-dir",
    scratchFolder(),
    "--model",
    "synthetic",
  );
  expect(code).toBe(1);
  expect(lines.join("\n")).toContain("not measured");
});

test("a model that is not there is one line", async () => {
  const nowhere = ["--model", "/nowhere.gguf", "--state-dir", scratchFolder()];
  const { code, errors } = await run("bench", ...nowhere);
  expect([code, errors.length]).toEqual([1, 1]);
  expect(errors[0]).toContain("/nowhere.gguf");
});

test("Ctrl-C ends a measurement with one line", async () => {
  const folder = scratchFolder();
  const cli = fileURLToPath(new URL("../../../worker-agent/cli.ts", import.meta.url));
  const flags = ["--state-dir", folder, "--gpu", "none", "--upstream", "none"];
  const child = spawn(process.execPath, [cli, "bench", ...flags], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  await until("it has begun", () => existsSync(folder));
  const ended = once(child, "close");
  child.kill("SIGINT");
  await ended;
  expect([child.exitCode, errors]).toEqual([1, "Stopped before everything was measured\n"]);
});
