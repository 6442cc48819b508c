import type { AutostartCommand } from "./autostart-command.ts";
import { environmentPath } from "./autostart-command.ts";

export const systemdUnitName = "octo-worker.service";

/**
 * A systemd user unit (systemd.service(5), systemd.unit(5)). A worker that stops because it was set
 * up wrongly (exit code 2) is not started again: nothing would be better the next time.
 */
export function systemdUnit(command: AutostartCommand): string {
  const line = [command.program, ...command.args].map(quoted).join(" ");
  return [
    "[Unit]",
    "Description=octo-worker shares this machine with the CipherOcto network",
    "StartLimitIntervalSec=300",
    "StartLimitBurst=10",
    "",
    "[Service]",
    "Type=exec",
    `ExecStart=${line}`,
    `EnvironmentFile=-${escapedPercent(environmentPath(command.stateDir))}`,
    "Restart=on-failure",
    "RestartSec=10",
    "RestartPreventExitStatus=2",
    "KillMode=mixed",
    `TimeoutStopSec=${command.stopSeconds}`,
    "NoNewPrivileges=yes",
    "UMask=0077",
    "",
    "[Install]",
    "WantedBy=default.target",
    "",
  ].join("\n");
}

/** One word of a command line: quoted, with what systemd would replace doubled. */
function quoted(word: string): string {
  const escaped = word
    .replaceAll("\\", "\\\\")
    .replaceAll('"', '\\"')
    .replaceAll("\n", "\\n")
    .replaceAll("$", "$$$$");
  return `"${escapedPercent(escaped)}"`;
}

/** `%h` and its like are specifiers of systemd. */
function escapedPercent(text: string): string {
  return text.replaceAll("%", "%%");
}
