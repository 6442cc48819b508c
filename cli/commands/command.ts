import type { Call } from "../words/parse-command-line.ts";
import type { World } from "../world.ts";

/** Runs one command. Gives the exit code: 0 done, 1 it went wrong. */
export type Command = (world: World, call: Call) => Promise<number>;

export function isJson({ options }: Call): boolean {
  return options["json"] !== undefined;
}

/** One value for the next program. */
export function writeJson({ terminal }: Pick<World, "terminal">, value: unknown): void {
  terminal.write(JSON.stringify(value));
}
