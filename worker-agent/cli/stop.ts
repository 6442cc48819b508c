import { resolve } from "node:path";
import { changeControl } from "../state/control-file.ts";
import type { LockOwner } from "../state/lock.ts";
import { lockOwner } from "../state/lock.ts";
import type { Inputs } from "./find-settings.ts";
import { findSetting } from "./find-settings.ts";
import type { Call } from "./parse-command-line.ts";
import { flag, path } from "./setting-forms.ts";
import type { Terminal } from "./terminal.ts";

const lookEveryMs = 100;
/** A worker that was told to leave at once and is still there does not hear anything any more. */
const deafAfterMs = 5_000;

/**
 * Stops the worker of a state folder, and waits until it has gone: once its answers have ended, at
 * the latest after its own `--drain`; or at once.
 */
export async function stop(inputs: Inputs, terminal: Terminal, call: Call): Promise<number> {
  const stateDir = resolve(path(inputs.home)(findSetting("stateDir", inputs)));
  const isJson = flag(findSetting("json", inputs));
  const isNow = call.own["now"] !== undefined;
  const owner = await lockOwner(stateDir);
  const say = (line: string) => {
    if (!isJson) terminal.write(line);
  };
  if (owner === null) {
    say(`No octo-worker runs from ${stateDir}`);
    if (isJson) terminal.write(JSON.stringify({ stopped: false, pid: null }));
    return 0;
  }
  await changeControl(stateDir, { stop: { ...owner, now: isNow } });
  if (!isNow) say(`Stopping process ${owner.pid} once its answers have ended; --now stops at once`);
  await untilGone(stateDir, owner, isNow);
  say(`${terminal.paint("green", "Stopped")}`);
  if (isJson) terminal.write(JSON.stringify({ stopped: true, pid: owner.pid }));
  return 0;
}

async function untilGone(stateDir: string, owner: LockOwner, isNow: boolean): Promise<void> {
  const startedMs = performance.now();
  let isKilled = false;
  for (;;) {
    const now = await lockOwner(stateDir);
    if (now === null || now.pid !== owner.pid || now.started !== owner.started) return;
    if (isNow && !isKilled && performance.now() - startedMs > deafAfterMs) {
      isKilled = true;
      process.kill(owner.pid, "SIGKILL");
    }
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
}
