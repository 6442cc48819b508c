import { resolve } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { lockOwner } from "../state/lock.ts";
import type { AgentStatus } from "../state/status-file.ts";
import { readStatus } from "../state/status-file.ts";
import { describeStatus } from "./describe-status.ts";
import type { Inputs } from "./find-settings.ts";
import { findSetting } from "./find-settings.ts";
import { LiveScreen } from "./live-screen.ts";
import type { Call } from "./parse-command-line.ts";
import { flag, path } from "./setting-forms.ts";
import type { Terminal } from "./terminal.ts";

/** The worker writes its status as often. */
const lookEveryMs = 1_000;

interface Found {
  readonly pid: number | null;
  readonly status: AgentStatus | null;
}

/** Says what the running worker is doing: as long as somebody looks on a terminal, else once. */
export async function status(inputs: Inputs, terminal: Terminal, { own }: Call): Promise<number> {
  const stateDir = resolve(path(inputs.home)(findSetting("stateDir", inputs)));
  const found = await find(stateDir);
  if (flag(findSetting("json", inputs))) {
    const { pid, status: said } = found;
    terminal.write(JSON.stringify({ running: pid !== null, pid, status: said }));
  } else if (found.pid !== null && terminal.isInteractive && own["once"] === undefined) {
    for (const line of await watch(stateDir, terminal)) terminal.write(line);
    return 0;
  } else {
    for (const line of linesOf(found, stateDir, terminal)) terminal.write(line);
  }
  return found.pid === null ? 1 : 0;
}

async function find(stateDir: string): Promise<Found> {
  const owner = await lockOwner(stateDir);
  return { pid: owner?.pid ?? null, status: owner === null ? null : await readStatus(stateDir) };
}

function linesOf({ pid, status: said }: Found, stateDir: string, terminal: Terminal): string[] {
  if (pid === null) {
    return [`No octo-worker runs from ${stateDir}; start one with octo-worker start`];
  }
  if (said === null) return [`octo-worker is starting (process ${pid})`];
  return describeStatus(said, terminal, Date.now());
}

/** Draws until Ctrl-C, or until the worker has ended; gives the last picture, to be left behind. */
async function watch(stateDir: string, terminal: Terminal): Promise<string[]> {
  const leaving = new AbortController();
  const leave = () => leaving.abort();
  process.once("SIGINT", leave);
  process.once("SIGTERM", leave);
  const screen = new LiveScreen(process.stdout);
  let lines: string[] = [];
  try {
    while (!leaving.signal.aborted) {
      const found = await find(stateDir);
      lines = linesOf(found, stateDir, terminal);
      screen.draw([...lines, "", terminal.paint("dim", "Ctrl-C leaves; the worker goes on")]);
      if (found.pid === null) break;
      // An abort is the only way this wait fails.
      await wait(lookEveryMs, undefined, { signal: leaving.signal }).catch(() => undefined);
    }
  } finally {
    screen.close();
    process.off("SIGINT", leave);
    process.off("SIGTERM", leave);
  }
  return lines;
}
