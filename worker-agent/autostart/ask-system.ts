import { runTool } from "../hardware/run-tool.ts";
import { AutostartError } from "./autostart-command.ts";

export interface SystemAnswer {
  readonly code: number;
  readonly output: string;
}

/** Service managers answer at once; one that does not is asked no longer. */
const answerMs = 20_000;

/**
 * Asks a service manager by its own tool. Throws AutostartError where it gives no answer; its
 * refusals are one.
 */
export async function askSystem(
  program: string,
  args: readonly string[],
  limitMs: number = answerMs,
): Promise<SystemAnswer> {
  const answer = await runTool(program, args, limitMs);
  switch (answer.kind) {
    case "said":
      return { code: 0, output: answer.text };
    case "failed":
      if (answer.code !== null) return { code: answer.code, output: answer.text };
      throw new AutostartError(`Cannot run ${program}: ${answer.text}`);
    case "missing":
      throw new AutostartError(`Cannot run ${program}: it is not installed`);
    case "hung":
      throw new AutostartError(`Cannot run ${program}: no answer for ${answer.afterMs / 1_000} s`);
  }
}

/** Asks what has to be done. Throws AutostartError where it was not. */
export async function mustDo(program: string, args: readonly string[]): Promise<void> {
  const { code, output } = await askSystem(program, args);
  if (code === 0) return;
  const said = output.split("\n")[0] ?? "";
  throw new AutostartError(`${program} ${args.join(" ")} failed with exit code ${code}: ${said}`);
}
