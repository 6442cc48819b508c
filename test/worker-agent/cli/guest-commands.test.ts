import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { main } from "../../../worker-agent/cli/main.ts";
import { memory, parseDuration } from "../../../worker-agent/cli/guest-forms.ts";
import { readInputs } from "../../../worker-agent/cli/find-settings.ts";
import { readConfig } from "../../../worker-agent/config.ts";
import { makeStateDir } from "../../../worker-agent/identity.ts";
import { changeControl, readControl } from "../../../worker-agent/state/control-file.ts";
import { takeLock } from "../../../worker-agent/state/lock.ts";

function stateFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "octo-guest-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "state");
}

async function run(...args: string[]) {
  const lines: string[] = [];
  const errors: string[] = [];
  const code = await main(args, {
    write: (line) => lines.push(line),
    error: (line) => errors.push(line),
    isInteractive: false,
    paint: (_style, text) => text,
  });
  return { code, text: lines.join("\n"), errors };
}

test("a pause is kept for a worker that starts later, until it is taken back", async () => {
  const folder = stateFolder();
  const paused = await run("pause", "--state-dir", folder);
  expect(paused.code).toBe(0);
  expect(paused.text).toContain("Paused until octo-worker resume");
  expect(paused.text).toContain("one that starts will be paused");
  expect(await readControl(folder)).toMatchObject({ pause: { until_ms: null } });
  expect((await run("resume", "--state-dir", folder)).text).toContain("Resumed");
  expect(await readControl(folder)).toMatchObject({ pause: null });
});

test("a pause for a time ends by itself", async () => {
  const folder = stateFolder();
  const { text } = await run("pause", "--for", "1h30m", "--state-dir", folder, "--json");
  const said = JSON.parse(text) as { until_ms: number };
  expect(said).toMatchObject({ paused: true, running: false });
  const control = await readControl(folder);
  expect(control?.pause?.until_ms).toBe(said.until_ms);
  expect(said.until_ms - (control?.pause?.since_ms ?? 0)).toBe(5_400_000);
});

test.for(["2", "h", "-1h", "1h 30m", "0m", "9999d", ""])(
  "%j is no time to pause for, and changes nothing",
  async (text) => {
    const folder = stateFolder();
    const { code, errors } = await run("pause", `--for=${text}`, "--state-dir", folder);
    expect(code).toBe(2);
    expect(errors.join()).toMatch(/it must be a time like 30m, 2h, 1h30m or 1d/);
    expect(await readControl(folder)).toMatchObject({ pause: null });
  },
);

test("stopping what does not run is done already", async () => {
  const folder = stateFolder();
  await makeStateDir(folder);
  expect(await run("stop", "--state-dir", folder)).toMatchObject({
    code: 0,
    text: `No octo-worker runs from ${folder}`,
  });
});

test.for([
  [[], false],
  [["--now"], true],
] as const)(
  "a stop with %o asks the process that holds the lock, and waits for it",
  async ([flags, now]) => {
    const folder = stateFolder();
    await makeStateDir(folder);
    const lock = await takeLock(folder);
    const stopped = run("stop", ...flags, "--state-dir", folder, "--json");
    let asked = null;
    while (asked === null) {
      asked = (await readControl(folder))?.stop ?? null;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(asked).toEqual({ ...lock.owner, now });
    lock.release();
    const { code, text } = await stopped;
    expect([code, JSON.parse(text)]).toEqual([0, { stopped: true, pid: process.pid }]);
    await changeControl(folder, { stop: null });
  },
);

test("each of these commands explains itself", async () => {
  for (const command of ["pause", "resume", "stop"]) {
    const { text } = await run(command, "--help");
    expect(text).toContain("Examples:");
    expect((await run("--help")).text).toContain(`  ${command}`);
  }
});

function configOf(flags: Readonly<Record<string, readonly string[]>>) {
  const folder = stateFolder();
  return readConfig(readInputs({ ...flags, stateDir: [folder] }, {}, folder));
}

test("a worker is a guest unless told otherwise: it serves at all hours, and never takes all", () => {
  expect(configOf({})).toMatchObject({
    availability: { hours: null, maxLoad: null, yieldsGpu: false },
    idleUnloadMs: 15 * 60_000,
    memory: { kind: "share", percent: 90 },
    priority: "low",
  });
});

test("a provider's wishes are read", () => {
  const config = configOf({
    hours: ["22:00-07:00, Sat-Sun"],
    maxLoad: ["50"],
    yieldGpu: ["true"],
    idleUnload: ["never"],
    memory: ["8GiB"],
    priority: ["normal"],
  });
  expect(config).toMatchObject({
    availability: { maxLoad: 50, yieldsGpu: true },
    idleUnloadMs: null,
    memory: { kind: "bytes", bytes: 8 * 2 ** 30 },
    priority: "normal",
  });
  expect(config.availability.hours).toHaveLength(2);
});

test.for([
  [{ hours: ["9-17"] }, "22:00-07:00, Sat-Sun"],
  [{ maxLoad: ["100"] }, "a whole number from 1 to 99, or none"],
  [{ idleUnload: ["0"] }, "or never"],
  [{ memory: ["100%"] }, "a share from 1% to 95%, or an amount like 8GiB"],
  [{ memory: ["8"] }, "an amount like 8GiB"],
  [{ priority: ["high"] }, "low, normal"],
] as const)("%o is refused with the accepted form", ([flags, accepted]) => {
  expect(() => configOf(flags)).toThrow(accepted);
});

test.for([
  ["90%", { kind: "share", percent: 90 }],
  ["1.5GiB", { kind: "bytes", bytes: 1.5 * 2 ** 30 }],
  ["500 MB", { kind: "bytes", bytes: 500_000_000 }],
] as const)("%s is an amount of memory", ([text, limit]) => {
  expect(memory({ texts: [text], level: "flag", from: "--memory" })).toEqual(limit);
});

test.for([
  ["30m", 1_800_000],
  ["2h", 7_200_000],
  ["1d2h3m", 93_780_000],
  ["m", null],
  ["1s", null],
] as const)("%s is a time", ([text, ms]) => {
  expect(parseDuration(text)).toBe(ms);
});
