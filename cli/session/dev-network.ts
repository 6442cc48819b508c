import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";
import { jsonOrNull } from "../../shared/json-or-null.ts";
import { CommandError } from "../failures.ts";
import type { World } from "../world.ts";
import { readPrivateFile } from "./private-file.ts";

const devFileSchema = z.object({ url: z.url(), api_key: z.string(), admin_key: z.string() });

/** A network that `npm start` runs in this repository. */
export interface DevNetwork {
  readonly url: string;
  readonly apiKey: string;
  readonly operatorKey: string;
  /** The file that tells of it. */
  readonly path: string;
}

/**
 * The network of the folder the command was called in, or of the repository around it; null where
 * none runs. A file that others could have written is not believed.
 */
export async function findDevNetwork({ cwd }: Pick<World, "cwd">): Promise<DevNetwork | null> {
  for (let folder = cwd; ; folder = dirname(folder)) {
    const path = join(folder, ".octo", "dev.json");
    const text = await readPrivateFile(path);
    if (text !== null) return readDevFile(path, text);
    // Beyond the repository is nothing of ours.
    if (existsSync(join(folder, ".git")) || dirname(folder) === folder) return null;
  }
}

function readDevFile(path: string, text: string): DevNetwork {
  const dev = devFileSchema.safeParse(jsonOrNull(text));
  if (!dev.success) {
    throw new CommandError(`Cannot use ${path}: it is damaged; start the network again`);
  }
  const { url, api_key: apiKey, admin_key: operatorKey } = dev.data;
  return { url, apiKey, operatorKey, path };
}
