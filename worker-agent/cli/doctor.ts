import { readConfig } from "../config.ts";
import type { Check } from "./check.ts";
import { checkEdge } from "./check-edge.ts";
import { checkMachine } from "./check-machine.ts";
import { checkModels } from "./check-models.ts";
import type { Inputs } from "./find-settings.ts";
import type { Terminal } from "./terminal.ts";

/** Looks at everything serving depends on. */
export async function doctor(inputs: Inputs, terminal: Terminal): Promise<number> {
  const config = readConfig(inputs);
  const checks: Check[] = [
    ...(await checkMachine(config)),
    ...checkModels(config),
    ...(await checkEdge(config)),
  ];
  const isWell = checks.every((check) => check.remedy === null);
  if (config.json) terminal.write(JSON.stringify({ ok: isWell, checks }));
  else for (const check of checks) terminal.write(lineOf(check, terminal));
  return isWell ? 0 : 1;
}

function lineOf(check: Check, { paint }: Terminal): string {
  const line = `${check.name.padEnd(10)}${check.found}`;
  if (check.remedy === null) return `${paint("green", "✓")} ${line}`;
  return `${paint("red", "✗")} ${line}\n  ${"".padEnd(10)}${paint("bold", check.remedy)}`;
}
