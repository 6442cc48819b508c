import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createEndpoint } from "../../../dev/libsql/endpoint.ts";
import { listen } from "../../../dev/libsql/listen.ts";
import { openLocalDatabase } from "../../../dev/libsql/open-local.ts";
import { readMigrations } from "../../../dev/libsql/read-migrations.ts";
import { createDatabase } from "../../../edge/db/client.ts";
import type { Database } from "../../../edge/db/database.ts";
import { applyMigrations } from "../../../edge/db/migrate.ts";

export type MakeDatabase = () => Promise<Database>;

/** A folder that is gone with its stack. */
export async function temporaryFolder(stack: AsyncDisposableStack): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "octo-db-"));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A migrated database of the native driver on a file of its own. */
export function makeNativeDatabase(): Promise<Database> {
  return makeWorld(async (folder, stack) =>
    stack.use(openLocalDatabase({ url: `file:${join(folder, "octo.db")}` })),
  );
}

/** The same over the web client, straight into the endpoint's handler. */
export function makeHandlerDatabase(): Promise<Database> {
  return makeWorld(async (folder, stack) => {
    const endpoint = stack.use(createEndpoint({ path: join(folder, "octo.db") }));
    return stack.use(createDatabase({ url: "http://libsql.invalid", fetch: endpoint.fetch }));
  });
}

/** The same over a real port, with a token. */
export function makePortDatabase(): Promise<Database> {
  return makeWorld(async (folder, stack) => {
    const authToken = "token-of-the-test";
    const endpoint = stack.use(createEndpoint({ path: join(folder, "octo.db"), authToken }));
    const { url } = stack.use(await listen(endpoint.fetch));
    return stack.use(createDatabase({ url, authToken }));
  });
}

async function makeWorld(
  open: (folder: string, stack: AsyncDisposableStack) => Promise<Database>,
): Promise<Database> {
  const stack = new AsyncDisposableStack();
  const database = await open(await temporaryFolder(stack), stack);
  await applyMigrations(database, await readMigrations(), 0);
  return { ...database, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}
