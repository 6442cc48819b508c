import { mkdir, rm, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { launchdAgent, launchdLabel, launchdLogPath } from "./launchd-agent.ts";
import { askSystem, mustDo } from "./ask-system.ts";
import type { AutostartCommand } from "./autostart-command.ts";
import { AutostartError, environmentPath } from "./autostart-command.ts";
import { systemdUnit, systemdUnitName } from "./systemd-unit.ts";

export interface AutostartState {
  readonly isInstalled: boolean;
  readonly isRunning: boolean;
  /** A command that shows the log. */
  readonly logs: string;
}

/** The program that keeps a user's services on this system. */
export interface Autostart {
  readonly name: "systemd" | "launchd";
  /** Where it keeps the file that describes the service. */
  readonly path: string;
  /** The file that describes the service, for `install` and for who wants to read it first. */
  describe(command: AutostartCommand): string;
  /** Writes it, starts it, and starts it again at every login. Gives what is left to do, if any. */
  install(command: AutostartCommand): Promise<string | null>;
  uninstall(): Promise<void>;
  state(stateDir: string): Promise<AutostartState>;
  /** How variables that are no settings, HF_TOKEN and the like, reach the worker. */
  secrets(stateDir: string): string;
}

/** The manager of `platform`. Throws AutostartError where there is none we know. */
export function autostartOf(platform: NodeJS.Platform, home: string): Autostart {
  switch (platform) {
    case "linux":
      return systemd(join(configFolder(home), "systemd", "user", systemdUnitName));
    case "darwin":
      return launchd(join(home, "Library", "LaunchAgents", `${launchdLabel}.plist`));
    default:
      throw new AutostartError(
        `Cannot install a service on ${platform}: let its own task scheduler run ` +
          "octo-worker start at login",
      );
  }
}

function configFolder(home: string): string {
  const given = process.env["XDG_CONFIG_HOME"];
  return given === undefined || given === "" ? join(home, ".config") : given;
}

function systemd(path: string): Autostart {
  const user = ["--user"];
  return {
    name: "systemd",
    path,
    describe: systemdUnit,
    async install(command) {
      await writeNew(path, systemdUnit(command));
      await mustDo("systemctl", [...user, "daemon-reload"]);
      await mustDo("systemctl", [...user, "enable", systemdUnitName]);
      // Restarted, because an older one may be running under the file that was replaced.
      await mustDo("systemctl", [...user, "restart", systemdUnitName]);
      const { output } = await askSystem("loginctl", ["show-user", "--property=Linger"]);
      return output.includes("Linger=yes")
        ? null
        : "it stops when you log out: loginctl enable-linger lets it run on";
    },
    secrets: (stateDir) => `NAME=value a line in ${environmentPath(stateDir)}`,
    async uninstall() {
      await mustDo("systemctl", [...user, "disable", "--now", systemdUnitName]);
      await rm(path, { force: true });
      await mustDo("systemctl", [...user, "daemon-reload"]);
    },
    async state() {
      const active = await askSystem("systemctl", [...user, "is-active", systemdUnitName]);
      return {
        isInstalled: existsSync(path),
        isRunning: active.code === 0,
        logs: `journalctl --user -u ${systemdUnitName} -f`,
      };
    },
  };
}

function launchd(path: string): Autostart {
  const domain = `gui/${process.getuid?.() ?? 0}`;
  const target = `${domain}/${launchdLabel}`;
  return {
    name: "launchd",
    path,
    describe: launchdAgent,
    async install(command) {
      await mkdir(dirname(launchdLogPath(command.stateDir)), { recursive: true, mode: 0o700 });
      await writeNew(path, launchdAgent(command));
      // Fails where none was loaded, which is as good.
      await askSystem("launchctl", ["bootout", target]);
      await mustDo("launchctl", ["bootstrap", domain, path]);
      return null;
    },
    secrets: () => "launchctl setenv NAME VALUE, again after each login",
    async uninstall() {
      await mustDo("launchctl", ["bootout", target]);
      await rm(path, { force: true });
    },
    async state(stateDir) {
      const printed = await askSystem("launchctl", ["print", target]);
      return {
        isInstalled: existsSync(path),
        isRunning: printed.code === 0 && /state = running/.test(printed.output),
        logs: `tail -f ${launchdLogPath(stateDir)}`,
      };
    },
  };
}

async function writeNew(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text, { mode: 0o600 });
}
