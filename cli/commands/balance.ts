import { accountSchema } from "../http/answers.ts";
import { writeFacts } from "../screen/facts.ts";
import { credits } from "../screen/in-words.ts";
import { connect } from "../session/connection.ts";
import type { Call } from "../words/parse-command-line.ts";
import type { World } from "../world.ts";
import { isJson, writeJson } from "./command.ts";

/** What the account has. */
export async function balance(world: World, call: Call): Promise<number> {
  const { client } = await connect(world, call);
  const account = await client.get("/api/v1/account", accountSchema);
  if (isJson(call)) {
    writeJson(world, account);
    return 0;
  }
  const { balance_micros: all, held_micros: held, earned_micros: earned } = account;
  const facts = [
    ["Account", account.id],
    ["Balance", `${credits(all)} credits`],
    ["Held", held === 0 ? null : `${credits(held)} credits, for tasks that are running`],
    ["Free", held === 0 ? null : `${credits(all - held)} credits`],
    ["Earned", earned === 0 ? null : `${credits(earned)} credits, by your workers`],
  ] as const;
  writeFacts(facts, world.terminal);
  return 0;
}
