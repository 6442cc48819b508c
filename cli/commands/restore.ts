import { z } from "zod";
import { journalHeadSchema } from "../../shared/ledger-record.ts";
import { UsageError } from "../failures.ts";
import { plainLine } from "../screen/plain-text.ts";
import { type Column, writeTable } from "../screen/table.ts";
import { connect } from "../session/connection.ts";
import type { Call } from "../words/parse-command-line.ts";
import type { World } from "../world.ts";
import { isJson, writeJson } from "./command.ts";

const differenceSchema = z.looseObject({
  id: z.string(),
  account_id: z.string(),
  differs: z.boolean(),
  books: z.array(
    z.looseObject({
      book: z.string(),
      asset: z.string(),
      account: z.string(),
      ledger: z.string(),
    }),
  ),
  journal: z.looseObject({ account: journalHeadSchema, ledger: journalHeadSchema }),
  obstacles: z.array(z.string()),
});
const columns: readonly Column[] = [
  { title: "Book" },
  { title: "Asset" },
  { title: "Account has", align: "right" },
  { title: "Ledger has", align: "right" },
];

type Difference = z.infer<typeof differenceSchema>;

/**
 * Shows what an account has beside what it has by the ledger. With the difference's id as `--yes`
 * the account takes over what the ledger has; the exit code is 1 while the two differ.
 */
export async function restore(world: World, call: Call): Promise<number> {
  const { args, options } = call;
  const [accountId = ""] = args;
  const yes = options["yes"];
  const reason = options["reason"];
  if ((yes === undefined) !== (reason === undefined)) {
    throw new UsageError("--yes, the difference's id, and --reason go together");
  }
  const { client } = await connect(world, call, true);
  const path = `/api/v1/ledger/accounts/${encodeURIComponent(accountId)}`;
  const difference =
    yes === undefined
      ? await client.get(`${path}/difference`, differenceSchema)
      : await client.post(`${path}/restore`, differenceSchema, { difference: yes, reason });
  if (isJson(call)) writeJson(world, difference);
  else if (yes === undefined) writeDifference(world, difference);
  else world.terminal.write(`Restored ${plainLine(difference.account_id, 80)} from the ledger`);
  return difference.differs && yes === undefined ? 1 : 0;
}

function writeDifference({ terminal }: World, difference: Difference): void {
  const { id, account_id: accountId, differs, books, journal, obstacles } = difference;
  const name = plainLine(accountId, 80);
  if (!differs) {
    terminal.write(`${terminal.paint("green", "OK")}  ${name} has what the ledger says`);
    return;
  }
  terminal.write(`${terminal.paint("red", "DIFFERENCE")}  of ${name}, in micros`);
  const rows = books.map(({ book, asset, account, ledger }) => {
    return [plainLine(book, 100), plainLine(asset, 20), account, ledger];
  });
  const ends = [String(journal.account.seq), String(journal.ledger.seq)];
  writeTable(columns, [...rows, ["transfers in its journal", "", ...ends]], terminal);
  for (const obstacle of obstacles) terminal.write(`    ${plainLine(obstacle, 1_000)}`);
  if (obstacles.length > 0) return;
  terminal.write(`    octo restore ${name} --yes ${plainLine(id, 40)} --reason WHY takes it over`);
}
