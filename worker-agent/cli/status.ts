import { resolve } from "node:path";
import { lockOwner } from "../state/lock.ts";
import type { AgentStatus } from "../state/status-file.ts";
import { readStatus } from "../state/status-file.ts";
import type { Inputs } from "./find-settings.ts";
import { findSetting } from "./find-settings.ts";
import { flag, path } from "./setting-forms.ts";
import type { Terminal } from "./terminal.ts";

/** Says what the running worker is doing. */
export async function status(inputs: Inputs, terminal: Terminal): Promise<number> {
  const stateDir = resolve(path(inputs.home)(findSetting("stateDir", inputs)));
  const isJson = flag(findSetting("json", inputs));
  const owner = await lockOwner(stateDir);
  const found = owner === null ? null : await readStatus(stateDir);
  if (isJson) {
    terminal.write(
      JSON.stringify({ running: owner !== null, pid: owner?.pid ?? null, status: found }),
    );
    return owner === null ? 1 : 0;
  }
  if (owner === null) {
    terminal.write(`No octo-worker runs from ${stateDir}; start one with octo-worker start`);
    return 1;
  }
  if (found === null) {
    terminal.write(`octo-worker is starting (process ${owner.pid})`);
    return 0;
  }
  for (const line of describe(found, terminal)) terminal.write(line);
  return 0;
}

function describe(found: AgentStatus, terminal: Terminal): string[] {
  const { paint } = terminal;
  const isServing = found.connection === "serving";
  const state = found.draining ? "leaving" : isServing ? "connected" : found.connection;
  const place = isServing ? ` in ${found.region ?? "?"} (hub ${found.hub ?? "?"})` : "";
  const { complete, cancelled, failed } = found.tasks;
  return [
    `Worker    ${found.worker}`,
    `Edge      ${found.edge}: ${paint(isServing ? "green" : "yellow", state)}${place}`,
    ...(found.account === null ? [] : [`Account   ${found.account}`]),
    ...found.models.map((model) => {
      const unlisted = model.refused === null ? "not listed" : `refused: ${model.refused}`;
      const listed = model.listed ? paint("green", "listed") : paint("yellow", unlisted);
      const shape = `${model.context_tokens} tokens of context, ${model.quantization}`;
      return `Model     ${model.name}: ${listed}, ${model.running}/${model.slots} slots, ${shape}`;
    }),
    `Tasks     ${complete} complete, ${cancelled} cancelled, ${failed} failed`,
    `Tokens    ${found.prompt_tokens} read, ${found.completion_tokens} written`,
    `Receipts  ${found.pending_receipts} not acknowledged yet`,
    `Since     ${new Date(found.started_ms).toISOString()}`,
  ];
}
