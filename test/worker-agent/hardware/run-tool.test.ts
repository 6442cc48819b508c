import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { parseNvidiaCards, readNvidia } from "../../../worker-agent/hardware/nvidia.ts";
import { runTool } from "../../../worker-agent/hardware/run-tool.ts";
import { isRunning } from "../../helpers/flow-processes.ts";
import { until } from "../../helpers/until.ts";

const script = (text: string) => ["-e", text];

test("a tool that is not installed is no error", async () => {
  expect(await runTool("octo-no-such-tool", [])).toEqual({ kind: "missing" });
});

test("what a tool says, and what it says when it gives up", async () => {
  const said = await runTool(process.execPath, script("console.log('well')"), 20_000);
  expect(said).toEqual({ kind: "said", text: "well\n" });
  const ends = "console.log('no');console.error('driver');process.exitCode=9";
  const failed = await runTool(process.execPath, script(ends), 20_000);
  expect(failed).toEqual({ kind: "failed", code: 9, text: "no\n\ndriver" });
});

test("a tool that hangs is killed at its limit", async () => {
  const folder = mkdtempSync(join(tmpdir(), "octo-tool-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const pidFile = join(folder, "pid");
  const hang = `require("fs").writeFileSync(${JSON.stringify(pidFile)},String(process.pid));
    process.on("SIGTERM",()=>{});setInterval(()=>{},1000)`;
  expect(await runTool(process.execPath, script(hang), 4_000)).toMatchObject({ kind: "hung" });
  const pid = Number(readFileSync(pidFile, "utf8"));
  await until("it is gone", () => !isRunning(pid));
});

test("a tool that floods is not read to its end", async () => {
  const flood = "const b='x'.repeat(65536);setInterval(()=>process.stdout.write(b),0)";
  const answer = await runTool(process.execPath, script(flood), 20_000);
  expect(answer).toEqual({ kind: "failed", code: null, text: "it says too much" });
});

test("binary output is text that holds nothing", async () => {
  const bytes = "process.stdout.write(Buffer.from([0,255,254,1,44,44,10,128,0]))";
  const answer = await runTool(process.execPath, script(bytes), 20_000);
  expect(answer.kind).toBe("said");
  expect(parseNvidiaCards(answer.kind === "said" ? answer.text : "")).toEqual([]);
});

/** An nvidia-smi of the test's own, found before the system's. */
function fakeSmi(body: string): void {
  const folder = mkdtempSync(join(tmpdir(), "octo-smi-"));
  const path = process.env["PATH"];
  onTestFinished(() => {
    process.env["PATH"] = path;
    rmSync(folder, { recursive: true, force: true });
  });
  const file = join(folder, "nvidia-smi");
  writeFileSync(file, `#!${process.execPath}\n${body}\n`);
  chmodSync(file, 0o755);
  process.env["PATH"] = `${folder}:${path ?? ""}`;
}

const line = "0, GPU-0a-1, NVIDIA GeForce GTX 1080 Ti, 11178, 11000, 418.56";

test("an old driver that knows no instances is asked again without them", async () => {
  fakeSmi(`if (process.argv[2].includes("mig")) {
    console.log('Field "mig.mode.current" is not a valid field to query.');
    process.exitCode = 2;
  } else console.log(${JSON.stringify(line)});`);
  const { gpus, faults } = await readNvidia({});
  expect(gpus).toMatchObject([{ name: "NVIDIA GeForce GTX 1080 Ti", driver: "418.56" }]);
  expect(faults).toEqual([]);
});

test("a tool that is there and fails is told with its own words", async () => {
  fakeSmi(`console.log("Failed to initialize NVML: Driver/library version mismatch");
    process.exitCode = 18;`);
  expect(await readNvidia({})).toMatchObject({
    gpus: [],
    faults: [{ found: expect.stringContaining("version mismatch") }],
  });
});

test("a card that the environment hides is told, because nobody would look there", async () => {
  fakeSmi(`console.log(${JSON.stringify(`${line}, [N/A]`)})`);
  const { gpus, faults } = await readNvidia({ CUDA_VISIBLE_DEVICES: "3" });
  expect(gpus).toEqual([]);
  expect(faults[0]?.found).toBe("CUDA_VISIBLE_DEVICES=3 hides every card");
});
