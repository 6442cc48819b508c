import { isAbsolute, join } from "node:path";
import type { World } from "../world.ts";

/**
 * Where this program keeps things (XDG Base Directory Specification 0.8: a path that is not
 * absolute counts as none).
 */
function folder(world: Pick<World, "env" | "home">, variable: string, fallback: string): string {
  const named = world.env[variable] ?? "";
  return join(isAbsolute(named) ? named : join(world.home, fallback), "octo");
}

export function profilePath(world: Pick<World, "env" | "home">): string {
  return join(folder(world, "XDG_CONFIG_HOME", ".config"), "config.json");
}

/** What was typed in chats. */
export function historyPath(world: Pick<World, "env" | "home">): string {
  return join(folder(world, "XDG_STATE_HOME", ".local/state"), "history");
}

/** Names of models, one a line, for completion. */
export function modelsPath(world: Pick<World, "env" | "home">): string {
  return join(folder(world, "XDG_CACHE_HOME", ".cache"), "models");
}

/** A path that a person wrote: `~` is the home folder. */
export function writtenPath(text: string, { home, cwd }: Pick<World, "home" | "cwd">): string {
  if (text === "~" || text.startsWith("~/")) return join(home, text.slice(1));
  return isAbsolute(text) ? text : join(cwd, text);
}
