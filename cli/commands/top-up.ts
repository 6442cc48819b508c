import { randomUUID } from "node:crypto";
import { formatCredits } from "../../shared/money.ts";
import { CommandError, UsageError } from "../failures.ts";
import { creditSchema } from "../http/answers.ts";
import { UnreachableError } from "../http/edge-client.ts";
import { credits } from "../screen/in-words.ts";
import { plainLine } from "../screen/plain-text.ts";
import { connect } from "../session/connection.ts";
import type { Call } from "../words/parse-command-line.ts";
import { amountOf } from "../words/values.ts";
import type { World } from "../world.ts";
import { isJson, writeJson } from "./command.ts";

/** Gives an account credit. */
export async function topUp(world: World, call: Call): Promise<number> {
  const { args, options } = call;
  const micros = amountOf(args[0] ?? "", "an amount");
  const accountId = options["account"];
  if (accountId === undefined) throw new UsageError("Whom? Name the account: --account acct_…");
  const idempotencyKey = options["idempotency-key"] ?? randomUUID();
  if (!/^[\x21-\x7e]{1,255}$/.test(idempotencyKey)) {
    throw new UsageError("--idempotency-key must have 1 to 255 visible ASCII characters");
  }
  const { client } = await connect(world, call, true);
  const path = `/api/v1/accounts/${encodeURIComponent(accountId)}/credits`;
  const body = { amount_micros: Number(micros), reason: options["reason"] };
  const headers = { "idempotency-key": idempotencyKey };
  const given = await client.post(path, creditSchema, body, headers).catch((error: unknown) => {
    if (!(error instanceof UnreachableError)) throw error;
    // It may have been given all the same: only the same key makes it safe to ask again.
    const again = `give --idempotency-key ${idempotencyKey} to try again without giving twice`;
    throw new CommandError(`${error.message}; ${again}`, { cause: error });
  });
  if (isJson(call)) writeJson(world, given);
  else {
    const { account_id: id, balance_micros: has } = given;
    const to = plainLine(id, 80);
    world.terminal.write(
      `Gave ${formatCredits(micros)} credits to ${to}, which now has ${credits(has)}`,
    );
  }
  return 0;
}
