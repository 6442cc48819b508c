import { execFile } from "node:child_process";
import { copyFileSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import type { AgentStatus, ModelStatus } from "../../worker-agent/state/status-file.ts";
import { agentStatusSchema } from "../../worker-agent/state/status-file.ts";
import { OpenStream, steady } from "../helpers/flow-stream.ts";
import { Flow, scripted } from "../helpers/flow-world.ts";
import { until } from "../helpers/until.ts";

/*
 * A worker that is a guest on somebody's machine: a real edge, a real worker process, and its
 * provider at another terminal.
 */

const bundled = fileURLToPath(
  new URL("../../worker-agent/assets/octo-tiny/octo-tiny.gguf", import.meta.url),
);
const cli = fileURLToPath(new URL("../../worker-agent/cli.ts", import.meta.url));

let flow: Flow;
let folder: string;
let model: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "octo-guest-"));
  model = join(folder, "tiny.gguf");
  copyFileSync(bundled, model);
  const flags = ["--benchmark", "never", "--slots", "2", "--context", "512"];
  // A task that nobody can take waits for a moment only.
  const vars = { OCTO_QUEUE_MS: "300" };
  flow = await Flow.start({ models: [`synthetic:${scripted}`, model], flags, vars });
});
afterAll(async () => {
  await flow?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

async function octoWorker(...words: string[]): Promise<string> {
  const stateDir = join(flow.folder, "workers", "worker-1");
  const args = [cli, ...words, "--state-dir", stateDir, "--json"];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return stdout;
}

const reportSchema = z.object({ pid: z.int().nullable(), status: agentStatusSchema });

async function status() {
  return reportSchema.parse(JSON.parse(await octoWorker("status")));
}

/** What the worker says of itself is up to a second old. */
async function untilStatus(what: string, condition: (status: AgentStatus) => boolean) {
  return until(what, async () => {
    const { status: said } = await status();
    return condition(said) ? said : null;
  });
}

function areUnloaded({ models }: AgentStatus): boolean {
  return models.every(({ loaded }) => !loaded);
}

function modelOf({ models }: AgentStatus, name: string): ModelStatus {
  const found = models.find((model) => model.name === name);
  if (found === undefined) throw new Error(`there is no ${name}`);
  return found;
}

async function ask(name: string, text: string): Promise<Response> {
  const messages = [{ role: "user", content: text }];
  const body = JSON.stringify({ model: name, messages, max_tokens: 8 });
  return flow.fetch("/v1/chat/completions", { method: "POST", body });
}

/** Asks until the answer has this status, and gives its sentence. */
async function untilAnswer(name: string, text: string, code: number): Promise<string> {
  return until(`${name} is answered with ${code}`, async () => {
    const response = await ask(name, text);
    const said = await response.text();
    return response.status === code ? said : null;
  });
}

describe("a worker whose provider pauses it", () => {
  test("ends the answer it gives, is asked no more, and serves again when it is resumed", async () => {
    const before = await status();
    const stream = await OpenStream.open(flow, steady);
    await stream.untilWord(3);
    expect(JSON.parse(await octoWorker("pause"))).toMatchObject({ paused: true, running: true });
    const refused = await untilAnswer(scripted, "hello", 404);
    expect(refused).toMatch(/scripted/);
    const paused = await untilStatus("it is paused", ({ no_work: why }) => why !== null);
    expect(paused).toMatchObject({
      no_work: "You paused it",
      availability: { kind: "closed", cause: "paused", until_ms: null },
      connection: "serving",
      models: [
        { name: scripted, listed: false, not_listed: "You paused it", running: 1 },
        { name: "tiny", listed: false, running: 0 },
      ],
    });
    const { length } = stream.content;
    await until("the answer goes on", () => stream.content.length > length);
    await stream.leave();
    await octoWorker("resume");
    await untilAnswer(scripted, "hello", 200);
    const after = await untilStatus("it is open", ({ no_work: why }) => why === null);
    expect(after.pid).toBe(before.pid);
    expect(after.connections).toHaveLength(1);
    expect(after.availability.kind).toBe("open");
  });

  test("gives the memory of its models back, and loads them for the next task", async () => {
    await octoWorker("pause", "--for", "1h");
    const paused = await untilStatus("the models are unloaded", areUnloaded);
    expect(paused.availability).toMatchObject({ until_ms: expect.any(Number) });
    await octoWorker("resume");
    const answer = await untilAnswer("tiny", "Once upon a time", 200);
    expect(JSON.parse(answer)).toMatchObject({ usage: { completion_tokens: 8 } });
    await untilStatus("it is loaded", (said) => modelOf(said, "tiny").loaded);
  });
});

test("a model that cannot be loaded any more is withdrawn while another answers, and comes back", async () => {
  await octoWorker("pause");
  await untilStatus("the models are unloaded", areUnloaded);
  renameSync(model, `${model}.gone`);
  await octoWorker("resume");
  await untilAnswer(scripted, "hello", 200);
  expect((await ask("tiny", "Once upon a time")).status).toBeGreaterThanOrEqual(500);
  const said = await untilStatus("it fails", (one) => modelOf(one, "tiny").health === "failing");
  expect(modelOf(said, "tiny").listed).toBe(false);
  expect(modelOf(said, "tiny").not_listed).toMatch(/tiny\.gguf/);
  await untilAnswer("tiny", "Once upon a time", 404);
  expect((await ask(scripted, "hello")).status).toBe(200);
  renameSync(`${model}.gone`, model);
  await untilAnswer("tiny", "Once upon a time", 200);
});

test("an engine that fails its tasks one after the other is withdrawn while another answers", async () => {
  const failing = await until("the model is withdrawn", async () => {
    const response = await flow.ask("fail=engine_failed");
    await response.text();
    const found = modelOf((await status()).status, scripted);
    return found.health === "failing" ? found : null;
  });
  expect(failing.not_listed).toMatch(/^Its last \d+ tasks failed/);
  await untilAnswer("tiny", "Once upon a time", 200);
  await untilAnswer(scripted, "hello", 200);
});

test("a worker that is stopped ends its answer first", async () => {
  const { pid } = await status();
  const stream = await OpenStream.open(flow, "tokens=40 rate=20");
  await stream.untilWord(3);
  expect(JSON.parse(await octoWorker("stop"))).toEqual({ stopped: true, pid });
  expect(await stream.over).toBe("ended");
  expect(stream.events.some(({ choices }) => choices[0]?.finish_reason === "stop")).toBe(true);
  await flow.untilNothingHeld();
});

test("a worker that is stopped at once goes without having failed", async () => {
  await untilAnswer(scripted, "hello", 200);
  const { pid } = await status();
  const stream = await OpenStream.open(flow, steady);
  await stream.untilWord(3);
  expect(JSON.parse(await octoWorker("stop", "--now"))).toEqual({ stopped: true, pid });
  expect(await stream.over).toBe("ended");
  expect(stream.text).toMatch(/error/);
  await untilAnswer(scripted, "hello", 200);
  expect(flow.network.workers[0]?.failure).toBeNull();
  await flow.untilNothingHeld();
});
