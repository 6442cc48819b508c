import { applyMigrations } from "../edge/db/migrate.ts";
import { OctoError } from "../shared/errors.ts";
import { openLocalDatabase } from "./libsql/open-local.ts";
import { readMigrations } from "./libsql/read-migrations.ts";

const usage = `Brings a libSQL database up to this version's tables.

  LIBSQL_URL=libsql://NAME-ORG.turso.io LIBSQL_AUTH_TOKEN=… npm run migrate

Running it again changes nothing.`;

/**
 * Applies the migrations to the database in LIBSQL_URL; the exit code is 0 where it is up to date
 * afterwards.
 */
async function main(): Promise<number> {
  const url = process.env["LIBSQL_URL"];
  if (process.argv.includes("--help") || url === undefined) {
    process.stdout.write(`${usage}\n`);
    return url === undefined ? 2 : 0;
  }
  await using db = openLocalDatabase({ url, authToken: process.env["LIBSQL_AUTH_TOKEN"] });
  try {
    const applied = await applyMigrations(db, await readMigrations(), Date.now());
    const done = applied.length === 0 ? "nothing to do" : `applied ${applied.join(", ")}`;
    process.stdout.write(`${done}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof OctoError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 1;
  }
}

process.exitCode = await main();
