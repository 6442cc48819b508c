import { execFile } from "node:child_process";
import { describeError } from "../../shared/log.ts";
import { AutostartError } from "./autostart-command.ts";

export interface ToolResult {
  readonly code: number;
  readonly output: string;
}

/** Service managers answer at once; one that does not is asked no longer. */
const toolMs = 20_000;

/**
 * Runs a service manager's own tool, without a shell. Throws AutostartError where it cannot be run
 * at all; its refusals are a result.
 */
export async function runTool(program: string, args: readonly string[]): Promise<ToolResult> {
  return new Promise((resolve, reject) => {
    execFile(program, [...args], { timeout: toolMs, encoding: "utf8" }, (error, out, err) => {
      const output = `${out}${err}`.trim();
      if (error === null) {
        resolve({ code: 0, output });
      } else if (typeof error.code === "number") {
        resolve({ code: error.code, output });
      } else {
        const reason = `Cannot run ${program}: ${describeError(error)}`;
        reject(new AutostartError(reason, { cause: error }));
      }
    });
  });
}

/** Runs a tool that has to succeed. */
export async function mustRun(program: string, args: readonly string[]): Promise<void> {
  const { code, output } = await runTool(program, args);
  if (code === 0) return;
  const said = output.split("\n")[0] ?? "";
  throw new AutostartError(`${program} ${args.join(" ")} failed with exit code ${code}: ${said}`);
}
