import type { SessionStop } from "../connection/session.ts";
import { runAgent } from "../agent.ts";
import { readConfig } from "../config.ts";
import type { Inputs } from "./find-settings.ts";
import { createTerminalLog } from "./human-log.ts";
import type { Terminal } from "./terminal.ts";

/** A close frame needs a moment to leave; a machine that shuts down gives no more. */
const hurryMs = 200;

/** Serves until stopped. */
export async function start(inputs: Inputs, terminal: Terminal): Promise<number> {
  const config = readConfig(inputs);
  const log = createTerminalLog(terminal, config.logLevel, config.json);
  const leaving = new AbortController();
  const hurry = new AbortController();
  const onSignal = () => {
    if (!leaving.signal.aborted) {
      leaving.abort();
      return;
    }
    hurry.abort();
    // An engine in the middle of a token must not keep the process.
    setTimeout(() => process.exit(1), hurryMs);
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  // A worker that another program runs is to leave with it, also where that program was killed.
  if (process.env["OCTO_STOP_WITH_STDIN"] === "1") {
    process.stdin.once("end", () => leaving.abort());
    process.stdin.resume();
  }
  try {
    const stop = await runAgent(config, leaving.signal, { log, hurry: hurry.signal });
    return exitCodeOf(stop, terminal);
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
    process.stdin.pause();
  }
}

function exitCodeOf(stop: SessionStop, terminal: Terminal): number {
  switch (stop.kind) {
    case "drained":
      return 0;
    case "aborted":
      return 1;
    case "final":
      terminal.error(`octo-worker stopped: ${stop.reason}`);
      return 1;
  }
}
