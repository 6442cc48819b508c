import { OctoError } from "../../../shared/errors.ts";
import type { Context } from "../../context.ts";
import { databaseOf } from "../../database.ts";
import { type Approval, endApproval } from "../../db/money/approvals.ts";
import { knownAccount } from "../known-account.ts";
import { restoreAccount, restoringOf } from "./restore-account.ts";

/**
 * Does what two operators agreed on, under an id of the approval's: however often it is carried
 * out, it is done once.
 */
export async function carryOut(ctx: Pick<Context, "env">, row: Approval): Promise<Approval> {
  if (row.kind === "restore") await restoreAccount(ctx, restoringOf(row), async () => {});
  else await mint(ctx, row);
  if (row.doneAt !== null) return row;
  const atMs = Date.now();
  await using db = databaseOf(ctx.env);
  await endApproval(db, { id: row.id, atMs });
  return { ...row, doneAt: atMs };
}

async function mint(ctx: Pick<Context, "env">, row: Approval): Promise<void> {
  const { object } = await knownAccount(ctx, row.accountId);
  const result = await object.mint({
    id: `approval:${row.id}`,
    micros: row.amountMicros,
    reason: row.reason,
  });
  if (result.kind === "minted") return;
  throw new OctoError(result.code, `Cannot carry out ${row.id}: ${result.reason}`);
}
