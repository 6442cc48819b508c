import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Migration } from "../../edge/db/migrate.ts";

const repositoryMigrations = fileURLToPath(new URL("../../migrations", import.meta.url));

/** The SQL files of a folder, by default the repository's migrations. */
export async function readMigrations(
  folder: string = repositoryMigrations,
): Promise<readonly Migration[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith(".sql"));
  return Promise.all(
    files.sort().map(async (file) => ({
      name: basename(file, ".sql"),
      sql: await readFile(join(folder, file), "utf8"),
    })),
  );
}
