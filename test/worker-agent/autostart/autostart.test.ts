import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { askSystem } from "../../../worker-agent/autostart/ask-system.ts";
import { autostartOf } from "../../../worker-agent/autostart/autostart.ts";
import { AutostartError } from "../../../worker-agent/autostart/autostart-command.ts";

/** Service managers that write down what they were asked, in a folder of their own on the PATH. */
function fakeTools(answers: Readonly<Record<string, string>> = {}) {
  const folder = mkdtempSync(join(tmpdir(), "octo-manager-"));
  const calls = join(folder, "calls");
  writeFileSync(calls, "");
  for (const name of ["systemctl", "loginctl", "launchctl"]) {
    const path = join(folder, name);
    writeFileSync(
      path,
      `#!/bin/sh\necho "${name} $*" >> "${calls}"\n${answers[name] ?? "exit 0"}\n`,
    );
    chmodSync(path, 0o755);
  }
  vi.stubEnv("PATH", `${folder}:${process.env["PATH"] ?? ""}`);
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return { home: folder, calls: () => readFileSync(calls, "utf8").trim().split("\n") };
}

const command = { program: "/node", args: ["/worker.js"], stateDir: "/state", stopSeconds: 45 };

beforeEach(() => {
  vi.stubEnv("XDG_CONFIG_HOME", "");
  return () => vi.unstubAllEnvs();
});

test("systemd is given the unit, starts it now and always, and lingering is hinted at", async () => {
  const { home, calls } = fakeTools({ loginctl: "echo Linger=no" });
  const autostart = autostartOf("linux", home);
  const left = await autostart.install(command);
  const path = join(home, ".config/systemd/user/octo-worker.service");
  expect(readFileSync(path, "utf8")).toBe(autostart.describe(command));
  expect(calls()).toEqual([
    "systemctl --user daemon-reload",
    "systemctl --user enable octo-worker.service",
    "systemctl --user restart octo-worker.service",
    "loginctl show-user --property=Linger",
  ]);
  expect(left).toContain("loginctl enable-linger");
  expect(await autostart.state("/state")).toMatchObject({ isInstalled: true, isRunning: true });
  await autostart.uninstall();
  expect(existsSync(path)).toBe(false);
});

test("what systemd refuses is said in its own words", async () => {
  const { home } = fakeTools({ systemctl: "echo 'Failed to connect to bus' >&2\nexit 1" });
  const installing = autostartOf("linux", home).install(command);
  await expect(installing).rejects.toThrow(AutostartError);
  await expect(installing).rejects.toThrow("exit code 1: Failed to connect to bus");
});

test("launchd is given an agent of this user, in place of the one it had", async () => {
  const { home, calls } = fakeTools({ launchctl: "echo '\tstate = running'" });
  const autostart = autostartOf("darwin", home);
  expect(await autostart.install({ ...command, stateDir: join(home, "state") })).toBeNull();
  const path = join(home, "Library/LaunchAgents/network.cipherocto.octo-worker.plist");
  const domain = `gui/${process.getuid?.() ?? 0}`;
  expect(calls()).toEqual([
    `launchctl bootout ${domain}/network.cipherocto.octo-worker`,
    `launchctl bootstrap ${domain} ${path}`,
  ]);
  expect(existsSync(join(home, "state/logs"))).toBe(true);
  expect(await autostart.state("/state")).toMatchObject({ isInstalled: true, isRunning: true });
});

test("a system without a service manager we know is told what to do", () => {
  expect(() => autostartOf("win32", "/home")).toThrow("task scheduler");
});

test("a manager that is missing or never answers is told apart from one that refuses", async () => {
  fakeTools({ loginctl: "exit 3", systemctl: "exec sleep 60" });
  expect(await askSystem("loginctl", [])).toEqual({ code: 3, output: "" });
  const missing = "Cannot run octo-no-manager: it is not installed";
  await expect(askSystem("octo-no-manager", [])).rejects.toThrow(missing);
  const silent = "Cannot run systemctl: no answer for 0.3 s";
  await expect(askSystem("systemctl", [], 300)).rejects.toThrow(new AutostartError(silent));
});
