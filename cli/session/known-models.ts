import { CommandError } from "../failures.ts";
import { modelNamePattern } from "../words/values.ts";
import type { World } from "../world.ts";
import { modelsPath } from "./folders.ts";
import { writePrivateFile } from "./private-file.ts";

/** More would make completion slow, and nobody reads so many. */
const namesMax = 2_000;

/**
 * Keeps the names of models for completion, which asks nobody. Only plain names: shells read them.
 */
export async function rememberModels(
  world: Pick<World, "env" | "home">,
  names: readonly string[],
): Promise<void> {
  const plain = [...new Set(names)].filter((name) => modelNamePattern.test(name));
  try {
    const lines = plain.slice(0, namesMax).map((name) => `${name}\n`);
    await writePrivateFile(modelsPath(world), lines.join(""));
  } catch (error) {
    // Without a cache folder completion lacks names; what was asked for is done all the same.
    if (!(error instanceof CommandError)) throw error;
  }
}
