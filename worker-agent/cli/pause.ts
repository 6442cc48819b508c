import { resolve } from "node:path";
import { makeStateDir } from "../identity.ts";
import { changeControl } from "../state/control-file.ts";
import { lockOwner } from "../state/lock.ts";
import type { Inputs } from "./find-settings.ts";
import { findSetting } from "./find-settings.ts";
import { parseDuration } from "./guest-forms.ts";
import type { Call } from "./parse-command-line.ts";
import { UsageError } from "./parse-command-line.ts";
import { flag, path } from "./setting-forms.ts";
import type { Terminal } from "./terminal.ts";

/** Longer is forgotten; without a time a pause lasts until somebody resumes. */
const longestMs = 366 * 24 * 3_600_000;

/** Takes no more tasks, until a time or until `resume`. It needs neither a network nor a worker. */
export async function pause(inputs: Inputs, terminal: Terminal, call: Call): Promise<number> {
  const stateDir = resolve(path(inputs.home)(findSetting("stateDir", inputs)));
  const isJson = flag(findSetting("json", inputs));
  const sinceMs = Date.now();
  const forMs = durationOf(call.own["for"]);
  const untilMs = forMs === null ? null : sinceMs + forMs;
  await makeStateDir(stateDir);
  await changeControl(stateDir, { pause: { since_ms: sinceMs, until_ms: untilMs } });
  const isRunning = (await lockOwner(stateDir)) !== null;
  if (isJson) {
    terminal.write(JSON.stringify({ paused: true, until_ms: untilMs, running: isRunning }));
    return 0;
  }
  const until = untilMs === null ? "octo-worker resume" : new Date(untilMs).toLocaleString();
  terminal.write(`${terminal.paint("yellow", "Paused")} until ${until}`);
  terminal.write(
    isRunning
      ? "The running worker takes no more tasks, and ends the answers it is giving"
      : `No octo-worker runs from ${stateDir}; one that starts will be paused`,
  );
  return 0;
}

function durationOf(text: string | undefined): number | null {
  if (text === undefined) return null;
  const ms = parseDuration(text);
  if (ms !== null && ms <= longestMs) return ms;
  throw new UsageError(
    `Cannot pause for ${JSON.stringify(text)}: it must be a time like 30m, 2h, 1h30m or 1d`,
  );
}
