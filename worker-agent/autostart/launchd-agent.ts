import { join } from "node:path";
import type { AutostartCommand } from "./autostart-command.ts";

export const launchdLabel = "network.cipherocto.octo-worker";

/** Where launchd's worker writes: launchd itself rotates nothing, `--log-file` does. */
export function launchdLogPath(stateDir: string): string {
  return join(stateDir, "logs", "octo-worker.log");
}

/**
 * A launchd agent of the user's (launchd.plist(5)). It starts at login, is started again after a
 * failure, and runs in the background band of the scheduler.
 */
export function launchdAgent(command: AutostartCommand): string {
  const words = [...command.args, "--log-file", launchdLogPath(command.stateDir)];
  const failures = join(command.stateDir, "logs", "launchd.log");
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" ' +
      '"http://www.apple.com/DTDs/PropertyList-1.0.dtd">',
    '<plist version="1.0">',
    "<dict>",
    ...entry("Label", text(launchdLabel)),
    ...entry("ProgramArguments", list([command.program, ...words])),
    ...entry("RunAtLoad", "<true/>"),
    ...entry("KeepAlive", "<dict><key>SuccessfulExit</key><false/></dict>"),
    ...entry("ThrottleInterval", "<integer>10</integer>"),
    ...entry("ExitTimeOut", `<integer>${command.stopSeconds}</integer>`),
    ...entry("ProcessType", text("Background")),
    // The log file holds what the worker says; here is only what comes before it is open.
    ...entry("StandardOutPath", text("/dev/null")),
    ...entry("StandardErrorPath", text(failures)),
    "</dict>",
    "</plist>",
    "",
  ].join("\n");
}

function entry(key: string, value: string): string[] {
  return [`  <key>${key}</key>`, `  ${value}`];
}

function list(words: readonly string[]): string {
  return `<array>${words.map(text).join("")}</array>`;
}

function text(value: string): string {
  const escaped = value.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  return `<string>${escaped}</string>`;
}
