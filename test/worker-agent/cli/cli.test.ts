import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { createTerminalLog } from "../../../worker-agent/cli/human-log.ts";
import { main } from "../../../worker-agent/cli/main.ts";
import { parseCommandLine } from "../../../worker-agent/cli/parse-command-line.ts";
import type { Terminal } from "../../../worker-agent/cli/terminal.ts";
import { createIdentity } from "../../../worker-agent/identity.ts";
import { takeLock } from "../../../worker-agent/state/lock.ts";

interface Said {
  readonly code: number;
  readonly lines: string[];
  readonly errors: string[];
}

function terminalOf(lines: string[], errors: string[], isInteractive = false): Terminal {
  return {
    write: (line) => lines.push(line),
    error: (line) => errors.push(line),
    isInteractive,
    paint: (_style, text) => text,
  };
}

async function run(...args: string[]): Promise<Said> {
  const lines: string[] = [];
  const errors: string[] = [];
  const code = await main(args, terminalOf(lines, errors));
  return { code, lines, errors };
}

function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "octo-cli-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "state");
}

test("help names every command, and each command explains itself with examples", async () => {
  const general = await run("--help", "--json");
  expect(general.code).toBe(0);
  for (const command of ["init", "start", "status", "doctor"]) {
    expect(general.lines.join()).toContain(command);
    const own = await run(command, "--help");
    expect(own.lines.join()).toContain("Examples:");
    expect((await run("help", command)).lines).toEqual(own.lines);
  }
  expect((await run("--version")).lines[0]).toMatch(/^octo-worker \d+\.\d+\.\d+$/);
});

test.for([
  [["frob"], 'Cannot run "frob": the commands are init, start, status'],
  [["start", "now"], 'octo-worker start takes no "now"; see octo-worker start --help'],
  [["models"], 'Cannot run "models": what follows is add SOURCE, list, remove NAME'],
  [["models", "frob"], 'Cannot run "models frob": what follows is add SOURCE, list'],
  [["models", "toString"], 'Cannot run "models toString": what follows is'],
  [["models", "remove"], "octo-worker models remove takes NAME, not nothing"],
  [["models", "list", "all"], 'octo-worker models list takes nothing, not "all"'],
  [["start", "--manifest", "x"], "Unknown option '--manifest'"],
  [["start", "--frob"], "Unknown option '--frob'; see octo-worker start --help"],
  [["status", "--slots", "1"], "Unknown option '--slots'; see octo-worker status --help"],
  [["--as", "x"], "--as names the --model before it: give one"],
  [["--slots", "0"], 'Cannot use "0" from --slots: it must be a whole number from 1 to 256'],
] as const)("%j is one line and exit code 2", async ([args, said]) => {
  const { code, lines, errors } = await run(...args);
  expect([code, lines, errors.length]).toEqual([2, [], 1]);
  expect(errors[0]).toContain(said);
});

test("flags without a command start a worker, and --as names the model before it", () => {
  expect(
    parseCommandLine(["--model", "a.gguf", "--model", "b.gguf", "--as", "b", "--json"]),
  ).toEqual({
    kind: "command",
    command: "start",
    flags: { model: ["a.gguf", "b.gguf"], as: ["", "b"], json: ["true"] },
    args: [],
    own: {},
  });
});

test("init makes an identity and writes down what it was told, once", async () => {
  const folder = scratchFolder();
  const args = ["init", "--state-dir", folder, "--edge", "https://edge.example", "--slots", "2"];
  expect(await run(...args)).toMatchObject({ code: 0, errors: [] });
  expect(JSON.parse(readFileSync(join(folder, "config.json"), "utf8"))).toEqual({
    edge: "https://edge.example",
    model: ["octo-tiny"],
    slots: "2",
  });
  const again = await run(...args);
  expect(again.code).toBe(1);
  expect(again.errors[0]).toContain("holds one already");
});

test("init for an account says what the account's owner runs, and for no account nothing of it", async () => {
  const account = `acct_${"a".repeat(22)}`;
  const { lines } = await run("init", "--state-dir", scratchFolder(), "--account", account);
  const [, id = ""] = /^Worker +(\S{43})$/.exec(lines[0] ?? "") ?? [];
  const command = `octo workers add ${id.startsWith("-") ? "-- " : ""}${id}`;
  const at = lines.findIndex((line) => line.includes(`${account} has to take it on`));
  expect(lines[at + 1]?.trim()).toBe(command);
  const json = ["--state-dir", scratchFolder(), "--account", account, "--json"];
  const told = JSON.parse((await run("init", ...json)).lines[0] ?? "") as Record<string, string>;
  expect(told["owner_runs"]).toMatch(/^octo workers add (-- )?[\w-]{43}$/);
  expect(told["owner_runs"]).toContain(told["worker"]);
  const own = await run("init", "--state-dir", scratchFolder());
  expect(own.lines.join("\n")).not.toContain("octo workers");
});

test("status says so where no worker runs", async () => {
  const folder = scratchFolder();
  const { code, lines } = await run("status", "--state-dir", folder);
  expect([code, lines[0]]).toEqual([
    1,
    `No octo-worker runs from ${folder}; start one with octo-worker start`,
  ]);
  const json = await run("status", "--state-dir", folder, "--json");
  expect(JSON.parse(json.lines[0] ?? "")).toEqual({ running: false, pid: null, status: null });
});

test("a second worker on one folder is refused with the process that has it", async () => {
  const folder = scratchFolder();
  await createIdentity(folder);
  const lock = await takeLock(folder);
  const { code, errors } = await run("start", "--state-dir", folder, "--model", "synthetic");
  lock.release();
  expect(code).toBe(1);
  expect(errors[0]).toContain(`runs already from ${folder} (process ${process.pid})`);
});

test("programs get JSON lines, people one line each that nothing said can steer", () => {
  const lines: string[] = [];
  const json = createTerminalLog(terminalOf(lines, []), "info", false);
  json("debug", "unheard");
  json("info", "Listed", { models: "a" });
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({
    level: "info",
    message: "Listed",
    models: "a",
  });
  const human = createTerminalLog(terminalOf(lines, [], true), "info", false);
  human("warn", "Disconnected", { reason: "\u001b[2Jgone\n" });
  expect(lines[1]).toMatch(/^\d\d:\d\d:\d\d Disconnected reason=\?\[2Jgone\?$/);
});
