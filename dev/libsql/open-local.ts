import { createClient } from "@libsql/client";
import type { Database } from "../../edge/db/database.ts";
import { openDatabase } from "../../edge/db/database.ts";

/**
 * A database by the native driver: `file:` and `:memory:` URLs besides `libsql:` and `http(s):`.
 */
export function openLocalDatabase(address: {
  readonly url: string;
  readonly authToken?: string | undefined;
}): Database {
  const { url, authToken } = address;
  return openDatabase({
    connect: () =>
      createClient({ url, intMode: "bigint", ...(authToken === undefined ? {} : { authToken }) }),
  });
}
