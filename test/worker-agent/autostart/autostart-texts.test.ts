import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { launchdAgent } from "../../../worker-agent/autostart/launchd-agent.ts";
import {
  autostartCommand,
  AutostartError,
} from "../../../worker-agent/autostart/autostart-command.ts";
import { systemdUnit } from "../../../worker-agent/autostart/systemd-unit.ts";

function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "octo-service-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const command = {
  program: "/opt/a b/node",
  args: ["/opt/octo/octo-worker.js", "start", "--as", 'my "100%" $model\\'],
  stateDir: "/home/ada/.octo-worker",
  stopSeconds: 45,
};

test("a systemd unit quotes what systemd would replace", () => {
  const unit = systemdUnit(command);
  expect(unit).toContain(
    'ExecStart="/opt/a b/node" "/opt/octo/octo-worker.js" "start" "--as" ' +
      '"my \\"100%%\\" $$model\\\\"',
  );
  expect(unit).toContain("EnvironmentFile=-/home/ada/.octo-worker/environment");
  expect(unit).toContain("TimeoutStopSec=45");
});

test.runIf(existsSync("/usr/bin/systemd-analyze"))("systemd itself accepts the unit", () => {
  const folder = scratchFolder();
  const program = join(folder, "a program");
  writeFileSync(program, "#!/bin/sh\n", { mode: 0o755 });
  const path = join(folder, "octo-worker.service");
  writeFileSync(path, systemdUnit({ ...command, program }));
  const said = execFileSync("/usr/bin/systemd-analyze", ["verify", "--man=no", path], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
  expect(said).toBe("");
});

test("a launchd agent escapes what XML would read, and rotates its own log", () => {
  const agent = launchdAgent({ ...command, args: [...command.args, "<&>"] });
  expect(agent).toContain("<string>&lt;&amp;&gt;</string><string>--log-file</string>");
  expect(agent).toContain("<string>/home/ada/.octo-worker/logs/octo-worker.log</string></array>");
  expect(agent).toContain("<integer>45</integer>");
});

test("a service runs this very installation, with time to drain", () => {
  const folder = scratchFolder();
  const script = join(folder, "octo-worker.js");
  const link = join(folder, "link.js");
  writeFileSync(script, "");
  symlinkSync(script, link);
  const options = { stateDir: "/s", drainMs: 30_000, flags: ["--slots", "2"] };
  expect(autostartCommand({ ...options, script: link })).toEqual({
    program: process.execPath,
    args: [script, "start", "--state-dir", "/s", "--slots", "2"],
    stateDir: "/s",
    stopSeconds: 45,
  });
});

test("a copy that npx keeps is refused, because it vanishes", () => {
  const folder = join(scratchFolder(), "_npx", "1234");
  mkdirSync(folder, { recursive: true });
  const script = join(folder, "octo-worker.js");
  writeFileSync(script, "");
  const from = { script, stateDir: "/s", drainMs: 0, flags: [] };
  expect(() => autostartCommand(from)).toThrow(AutostartError);
  expect(() => autostartCommand(from)).toThrow("npm install -g octo-worker");
});
