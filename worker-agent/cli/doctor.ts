import { readConfig } from "../config.ts";
import { readMachine } from "../hardware/machine.ts";
import type { Check } from "./check.ts";
import { levelOf } from "./check.ts";
import { checkAccount } from "./check-account.ts";
import { checkEdge } from "./check-edge.ts";
import { checkGpus } from "./check-gpus.ts";
import { checkMachine } from "./check-machine.ts";
import { checkModels } from "./check-models.ts";
import { checkStateDir } from "./check-state-dir.ts";
import { checkUpstreams } from "./check-upstreams.ts";
import type { Inputs } from "./find-settings.ts";
import type { Style, Terminal } from "./terminal.ts";

/** Looks at everything serving depends on. */
export async function doctor(inputs: Inputs, terminal: Terminal): Promise<number> {
  const config = readConfig(inputs);
  const machine = await readMachine();
  const checks: Check[] = [
    ...checkMachine(config, machine),
    ...(await checkGpus(config, machine)),
    ...(await checkStateDir(config.stateDir)),
    ...(await checkModels(config)),
    ...(await checkUpstreams(config.upstream)),
    ...(await checkEdge(config.edge, process.env)),
    ...(await checkAccount(config)),
  ];
  const isWell = checks.every((check) => levelOf(check) !== "failure");
  if (config.json) {
    const told = checks.map((check) => ({
      name: check.name,
      level: levelOf(check),
      found: check.found,
      remedy: check.remedy,
    }));
    terminal.write(JSON.stringify({ ok: isWell, checks: told }));
  } else for (const check of checks) terminal.write(lineOf(check, terminal));
  return isWell ? 0 : 1;
}

const marks: Record<ReturnType<typeof levelOf>, readonly [string, Style]> = {
  ok: ["✓", "green"],
  warning: ["!", "yellow"],
  failure: ["✗", "red"],
};

function lineOf(check: Check, { paint }: Terminal): string {
  const [mark, style] = marks[levelOf(check)];
  const line = `${paint(style, mark)} ${check.name.padEnd(10)}${check.found}`;
  return check.remedy === null ? line : `${line}\n  ${"".padEnd(10)}${paint("bold", check.remedy)}`;
}
