import { apiKeyIdOf } from "../../shared/crypto/api-key.ts";
import { accountSchema } from "../http/answers.ts";
import { writeFacts } from "../screen/facts.ts";
import { connect } from "../session/connection.ts";
import type { Call } from "../words/parse-command-line.ts";
import type { World } from "../world.ts";
import { isJson, writeJson } from "./command.ts";

/** Which edge, which account, by which key. */
export async function whoami(world: World, call: Call): Promise<number> {
  const { client, url, identity, bearer } = await connect(world, call);
  const account = await client.get("/api/v1/account", accountSchema);
  // The id alone may be shown; the rest of a key is secret.
  const keyId = apiKeyIdOf(await bearer());
  const { id, status } = account;
  if (isJson(call)) {
    writeJson(world, { url, account_id: id, status, key_id: keyId, from: identity });
    return 0;
  }
  const { terminal } = world;
  const facts = [
    ["Edge", url],
    ["Account", status === "active" ? id : `${id} (${status})`],
    ["Key", keyId],
    ["From", identity],
  ] as const;
  writeFacts(facts, terminal);
  return 0;
}
