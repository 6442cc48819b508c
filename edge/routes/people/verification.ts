import { OctoError } from "../../../shared/errors.ts";
import { levelOf, type VerificationLevel } from "../../../shared/verification.ts";
import type { Context } from "../../context.ts";
import { databaseOf } from "../../database.ts";
import { readVerificationFacts } from "../../db/people/attestations.ts";

/** How well an account is known now. */
export async function verificationOf(ctx: Context, accountId: string): Promise<VerificationLevel> {
  await using db = databaseOf(ctx.env);
  const facts = await readVerificationFacts(db, accountId);
  if (facts === null) throw new OctoError("not_found", `There is no account ${accountId}`);
  return levelOf(facts, ctx.config.attesters, ctx.startedMs);
}
