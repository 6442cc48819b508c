import { resolve } from "node:path";
import { makeStateDir } from "../identity.ts";
import { changeControl } from "../state/control-file.ts";
import { lockOwner } from "../state/lock.ts";
import type { Inputs } from "./find-settings.ts";
import { findSetting } from "./find-settings.ts";
import { flag, path } from "./setting-forms.ts";
import type { Terminal } from "./terminal.ts";

/** Ends a pause. */
export async function resume(inputs: Inputs, terminal: Terminal): Promise<number> {
  const stateDir = resolve(path(inputs.home)(findSetting("stateDir", inputs)));
  await makeStateDir(stateDir);
  await changeControl(stateDir, { pause: null });
  const isRunning = (await lockOwner(stateDir)) !== null;
  if (flag(findSetting("json", inputs))) {
    terminal.write(JSON.stringify({ paused: false, running: isRunning }));
    return 0;
  }
  terminal.write(
    isRunning
      ? `${terminal.paint("green", "Resumed")}: the running worker takes tasks again`
      : `Resumed; no octo-worker runs from ${stateDir}, start one with octo-worker start`,
  );
  return 0;
}
