import type { SessionStop } from "../connection/session.ts";
import type { Agent } from "../agent.ts";
import { runAgent } from "../agent.ts";
import type { MetricsServer } from "../metrics/metrics-server.ts";
import { serveMetrics } from "../metrics/metrics-server.ts";
import type { AgentStatus } from "../state/status-file.ts";
import { readConfig } from "../config.ts";
import { lowerPriority } from "../serving/priority.ts";
import type { Inputs } from "./find-settings.ts";
import type { Log } from "../../shared/log.ts";
import type { Config } from "../config.ts";
import { bothLogs, createFileLog, createTerminalLog } from "./human-log.ts";
import { LogFile } from "./log-file.ts";
import { barFor, logOver } from "./progress-bar.ts";
import type { Terminal } from "./terminal.ts";

/** A close frame needs a moment to leave; a machine that shuts down gives no more. */
const hurryMs = 200;

/** Serves until stopped. */
export async function start(inputs: Inputs, terminal: Terminal): Promise<number> {
  const config = readConfig(inputs);
  const file = openLogFile(config, terminal);
  const bar = barFor(terminal, config.json);
  const log = logOver(bar, logOf(config, terminal, file));
  if (config.priority === "low") lowerPriority(log);
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
    let agent: Agent | null = null;
    await using _metrics = await openMetrics(config, log, () => agent?.snapshot() ?? null);
    const stop = await runAgent(config, leaving.signal, {
      log,
      hurry: hurry.signal,
      onAgent: (started) => (agent = started),
      ...(bar === null ? {} : { onDownload: (model, progress) => bar.draw(model, progress) }),
    });
    return exitCodeOf(stop, terminal);
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
    process.stdin.pause();
    bar?.clear();
    file?.close();
  }
}

async function openMetrics(
  { metricsPort }: Config,
  log: Log,
  snapshot: () => AgentStatus | null,
): Promise<MetricsServer | null> {
  if (metricsPort === null) return null;
  const server = await serveMetrics(metricsPort, snapshot);
  log("info", "Metrics", { url: `http://127.0.0.1:${server.port}/metrics` });
  return server;
}

function openLogFile({ logFile }: Config, terminal: Terminal): LogFile | null {
  if (logFile === null) return null;
  return new LogFile(logFile, { onFailure: (sentence) => terminal.error(sentence) });
}

function logOf(config: Config, terminal: Terminal, file: LogFile | null): Log {
  const said = createTerminalLog(terminal, config.logLevel, config.json);
  if (file === null) return said;
  return bothLogs(
    said,
    createFileLog((line) => file.write(line), config.logLevel),
  );
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
