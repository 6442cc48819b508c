import { bashCompletion } from "../words/bash-completion.ts";
import { fishCompletion } from "../words/fish-completion.ts";
import type { Call } from "../words/parse-command-line.ts";
import { choiceOf } from "../words/values.ts";
import { zshCompletion } from "../words/zsh-completion.ts";
import type { World } from "../world.ts";
import { isJson, writeJson } from "./command.ts";

const scripts = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const;

/** Writes a script that completes this command's words. */
export async function completion(world: World, call: Call): Promise<number> {
  const shell = choiceOf(call.args[0] ?? "", "a shell", ["bash", "zsh", "fish"]);
  const script = scripts[shell]();
  if (isJson(call)) writeJson(world, { shell, script });
  else world.terminal.print(script);
  return 0;
}
