import { execFile } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import { rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { done, eventsOf } from "../helpers/flow-contract.ts";
import { isRunning, networkProcesses } from "../helpers/flow-processes.ts";
import { freePort, StartProcess } from "../helpers/flow-start.ts";
import { bundledModelPath } from "../../worker-agent/models/model-source.ts";
import { until } from "../helpers/until.ts";

const devFileSchema = z.strictObject({
  url: z.string(),
  api_key: z.string(),
  admin_key: z.string(),
  workers: z.array(z.strictObject({ id: z.string(), pid: z.int() })),
});

function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "octo-start-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Starts, which is to fail; gives what was said and the exit code. */
async function failedStart(folder: string, words: readonly string[]) {
  await using started = new StartProcess(folder, words);
  const code = await started.exitCode();
  return { code, said: started.err, out: started.out };
}

describe("one network, started and stopped again and again in one folder", () => {
  let folder: string;
  let port: number;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "octo-start-"));
    port = await freePort();
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function start(...words: string[]): StartProcess {
    return new StartProcess(folder, ["--port", String(port), ...words]);
  }

  function devFile() {
    const text = readFileSync(join(folder, ".octo", "dev.json"), "utf8");
    return devFileSchema.parse(JSON.parse(text));
  }

  function get(path: string, key: string): Promise<Response> {
    return fetch(`http://127.0.0.1:${port}${path}`, {
      headers: { authorization: `Bearer ${key}` },
    });
  }

  let firstKey = "";
  let spentMicros = 0;

  test("asks itself a question and shows how to ask the next one, which works as printed", async () => {
    await using started = start();
    await started.untilReady();
    expect(started.err).toBe("");
    expect(started.out).toMatch(/You\s+› What is this\?\nocto-tiny › CipherOcto/);
    expect(started.out).toContain(`base URL  http://127.0.0.1:${port}/v1`);
    const command = /^curl -N [^]*?(?=\n\n)/m.exec(started.out)?.[0] ?? "";
    const { stdout } = await promisify(execFile)("bash", ["-c", command]);
    expect(stdout.endsWith(done)).toBe(true);
    const words = eventsOf(stdout).map(({ choices }) => choices[0]?.delta?.content ?? "");
    expect(words.join("")).toContain("fox");

    const dev = devFile();
    expect(statSync(join(folder, ".octo", "dev.json")).mode & 0o777).toBe(0o600);
    expect(dev.url).toBe(`http://127.0.0.1:${port}`);
    expect(dev.workers.map(({ pid }) => isRunning(pid))).toEqual([true]);
    expect((await get("/api/v1/accounts", dev.admin_key)).status).toBe(200);
    firstKey = dev.api_key;
    const costs = await until("both answers are in the books", async () => {
      const { data } = (await (await get("/api/v1/tasks", firstKey)).json()) as {
        data: { state: string; cost_micros: number }[];
      };
      return data.length === 2 && data.every(({ state }) => state === "settled") && data;
    });
    // How long the story is, and so what it costs, is the model's to say.
    spentMicros = costs.reduce((sum, { cost_micros: micros }) => sum + micros, 0);
    expect(spentMicros).toBeGreaterThan(0);
    const account = (await (await get("/api/v1/account", firstKey)).json()) as {
      balance_micros: number;
    };
    expect(account.balance_micros).toBe(100_000_000 - spentMicros);

    const second = await failedStart(folder, ["--port", String(await freePort())]);
    expect([second.code, second.said.split("\n")]).toEqual([
      1,
      [expect.stringContaining("a network runs from"), ""],
    ]);

    expect(await started.stop()).toBe(0);
    expect(started.out).toContain("Stopped. State is kept in .octo/.");
    expect(existsSync(join(folder, ".octo", "dev.json"))).toBe(false);
  });

  test("knows its keys and its books again, with other workers", async () => {
    await using started = start("--workers", "2", "--model", "synthetic:words");
    await started.untilReady();
    const dev = devFile();
    expect(dev.api_key).toBe(firstKey);
    expect(dev.workers).toHaveLength(2);
    const account = (await (await get("/api/v1/account", firstKey)).json()) as {
      balance_micros: number;
    };
    expect(account.balance_micros).toBeLessThanOrEqual(100_000_000 - spentMicros);
    const { data } = (await (await get("/api/v1/tasks", firstKey)).json()) as { data: unknown[] };
    expect(data.length).toBeGreaterThanOrEqual(2);

    const streams = await Promise.all([1, 2, 3].map(() => ask(dev.api_key)));
    const ends = streams.map((stream) => stream.text());
    expect(await started.stop()).toBe(0);
    // Neither cut off nor short: each of them says how it ended.
    for (const text of await Promise.all(ends)) {
      const isWhole = text.endsWith(done);
      const isBrokenOff = eventsOf(text).at(-1)?.error !== undefined;
      expect(isWhole || isBrokenOff, text.slice(-400)).toBe(true);
    }
  });

  function ask(key: string): Promise<Response> {
    const messages = [{ role: "user", content: "[synthetic tokens=8000 rate=20]" }];
    return fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "words", messages, stream: true }),
    });
  }

  test("forgets everything with --fresh, and takes a model from the folder it is in", async () => {
    copyFileSync(bundledModelPath(), join(folder, "mine.gguf"));
    await using started = start("--fresh", "--model", "./mine.gguf");
    await started.untilReady();
    const dev = devFile();
    expect(dev.api_key).not.toBe(firstKey);
    expect((await get("/v1/models", firstKey)).status).toBe(401);
    expect(await (await get("/v1/models", dev.api_key)).text()).toContain('"id":"mine"');
    expect(await started.stop()).toBe(0);
  });

  test("audits its ledger from its start, as a timer does elsewhere", async () => {
    await using started = start("--workers", "0");
    await started.untilReady();
    const { admin_key: key } = devFile();
    const standing = await until("the ledger was checked", async () => {
      const response = await get("/api/v1/ledger/conservation", key);
      const json = (await response.json()) as { checked_at: string | null; conserved: boolean };
      return json.checked_at !== null && json;
    });
    expect(standing.conserved).toBe(true);
    expect(await started.stop()).toBe(0);
  });

  test("starts on no port beside what it left when it was killed", async () => {
    await using started = start("--workers", "0");
    await started.untilReady();
    const left = networkProcesses(started.pid).map(({ pid }) => pid);
    onTestFinished(() => left.filter(isRunning).forEach((pid) => process.kill(pid, "SIGKILL")));
    started.signal("SIGKILL");
    await started.exitCode();
    const { code, said } = await failedStart(folder, ["--port", String(await freePort())]);
    expect(said).toMatch(/^Cannot start: [^\n]+ left still listens on http:[^\n]+ first\n$/);
    expect(said).toContain(`http://127.0.0.1:${port}`);
    expect(code).toBe(1);
  });

  test("stops while it is still starting", async () => {
    await using started = start("--model", "synthetic:words");
    await until("it has begun", () => started.out.includes("Starting"));
    expect(await started.stop()).toBe(0);
  });
});

describe("what keeps it from starting is one clear line", () => {
  test("a port in use", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const { port } = server.address() as { port: number };
    const { code, said } = await failedStart(scratchFolder(), ["--port", String(port)]);
    expect(said).toBe(
      `Cannot listen on 127.0.0.1:${port}: it is in use; choose another with --port\n`,
    );
    expect(code).toBe(1);
  });

  test("wrong words, with exit code 2", async () => {
    const sentencesByWords = {
      "--port 0": "--port must be a whole number from 1 to 65535, not 0",
      "--port http": "--port must be a whole number from 1 to 65535, not http",
      "--workers 17": "--workers must be a whole number from 0 to 16, not 17",
      "--workers": "See npm start -- --help",
      "--frob": "Unknown option '--frob'",
    };
    const folder = scratchFolder();
    const starts = Object.entries(sentencesByWords).map(async ([words, sentence]) => {
      const { code, said, out } = await failedStart(folder, words.split(" "));
      expect(said).toContain(sentence);
      expect([code, said.split("\n").length, out]).toEqual([2, 2, ""]);
    });
    await Promise.all(starts);
    expect(existsSync(join(folder, ".octo"))).toBe(false);
  });

  test("a state folder that cannot be written", async () => {
    const folder = scratchFolder();
    // A file in its place: rights do not stop a root user, this does.
    writeFileSync(join(folder, ".octo"), "");
    const { code, said } = await failedStart(folder, ["--port", String(await freePort())]);
    expect(said).toMatch(/^Cannot use \S+\.octo: [^\n]+\n$/);
    expect(code).toBe(1);
  });

  test("state that is damaged, with what is damaged and how to go on", async () => {
    const paths = ["secrets.json", "consumer.json", "edge/octo.db"];
    const starts = paths.map(async (path) => {
      const folder = scratchFolder();
      const damaged = join(folder, ".octo", path);
      mkdirSync(dirname(damaged), { recursive: true });
      writeFileSync(damaged, '{"half": '.repeat(1_000));
      const { code, said } = await failedStart(folder, ["--port", String(await freePort())]);
      expect(said).toMatch(/^Cannot [^\n]+; start with --fresh to begin anew\n$/);
      expect(said).toContain(damaged);
      expect(code).toBe(1);
    });
    await Promise.all(starts);
  });

  test("a model that is none", async () => {
    const starts = ["./nowhere.gguf", "ftp://model"].map(async (model) => {
      const words = ["--port", String(await freePort()), "--model", model];
      const { code, said } = await failedStart(scratchFolder(), words);
      expect(said).toMatch(/^[^\n]+\n$/);
      expect(said).toContain(model.replace("./", ""));
      expect(code).toBe(1);
    });
    await Promise.all(starts);
  });
});
