import { and, eq, sql } from "drizzle-orm";
import { bookOf } from "../../../shared/assets.ts";
import { historyTasks, type VerificationFacts } from "../../../shared/verification.ts";
import type { Database } from "../database.ts";
import { beforeInTime, newestFirst } from "../order.ts";
import type { Page, PageRequest } from "../page.ts";
import { decodeCursor, timeCursorSchema, toPage } from "../page.ts";
import { accounts, workers } from "../schema/registry.ts";
import { attempts, tasks, transfers } from "../schema/ledger.ts";
import { deposits } from "../schema/money.ts";
import { attestations } from "../schema/people.ts";

export type StoredAttestation = typeof attestations.$inferSelect;

/** An account is certified a few times in its life; further ones are listed, and not counted. */
const countedMax = 100;

/** Stores what somebody signed; the same again changes nothing, nor does it undo its revoking. */
export async function recordAttestation(
  db: Database,
  attestation: Omit<StoredAttestation, "revokedAt">,
): Promise<void> {
  await db.write("record the attestation", (orm) => [
    orm.insert(attestations).values(attestation).onConflictDoNothing({ target: attestations.id }),
  ]);
}

export async function findAttestation(
  db: Database,
  key: { readonly accountId: string; readonly id: string },
): Promise<StoredAttestation | null> {
  const rows = await db.read("find the attestation", (orm) =>
    orm
      .select()
      .from(attestations)
      .where(and(eq(attestations.id, key.id), eq(attestations.accountId, key.accountId))),
  );
  return rows[0] ?? null;
}

/** What was attested of an account, newest first. */
export async function listAttestations(
  db: Database,
  query: PageRequest & { readonly accountId: string },
): Promise<Page<StoredAttestation>> {
  const after = decodeCursor(timeCursorSchema, query.cursor);
  const order = { time: attestations.createdAt, id: attestations.id };
  const rows = await db.read("list the attestations", (orm) =>
    orm
      .select()
      .from(attestations)
      .where(and(eq(attestations.accountId, query.accountId), beforeInTime(order, after)))
      .orderBy(...newestFirst(order))
      .limit(query.limit + 1),
  );
  return toPage(rows, query.limit, (row) => [row.createdAt, row.id]);
}

/** Revokes an attestation of any account, for operators; false where there is none such. */
export async function revokeAttestation(
  db: Database,
  key: { readonly id: string; readonly atMs: number },
): Promise<boolean> {
  const at = sql.param(key.atMs, attestations.revokedAt);
  const [revoked] = await db.write("revoke the attestation", (orm) => [
    orm
      .update(attestations)
      .set({ revokedAt: sql`coalesce(${attestations.revokedAt}, ${at})` })
      .where(eq(attestations.id, key.id)),
  ]);
  return revoked === 1;
}

/** What an account's level follows from; null where there is no such account. */
export async function readVerificationFacts(
  db: Database,
  accountId: string,
): Promise<VerificationFacts | null> {
  const stake = bookOf(accountId, "stake");
  // Counted no further than it matters: a large consumer has millions of tasks.
  const asked = sql`select 1 from ${tasks} where account_id = ${accountId} and state = 'settled'
    limit ${historyTasks}`;
  const served = sql`select 1 from ${workers} as w join ${attempts} as a on a.worker_id = w.id
    where w.account_id = ${accountId} and a.outcome = 'complete' limit ${historyTasks}`;
  const [facts, attested] = await db.read("read the account's history", (orm) =>
    orm.batch([
      orm
        .select({
          createdMs: accounts.createdAt,
          settledTasks: sql`(select count(*) from (select * from (${asked}) union all
            select * from (${served})))`.mapWith(Number),
          depositedMicros: sql<bigint>`(select coalesce(sum(amount_micros), 0) from ${deposits}
            where account_id = ${accountId} and asset = 'CREDIT')`,
          stakedMicros: sql<bigint>`(select coalesce(sum(case when credit_account = ${stake}
            then amount_micros else -amount_micros end), 0) from ${transfers}
            where asset = 'OCTO' and (credit_account = ${stake} or debit_account = ${stake}))`,
        })
        .from(accounts)
        .where(eq(accounts.id, accountId)),
      orm
        .select({
          level: attestations.level,
          issuer: attestations.issuer,
          expiresMs: attestations.expiresAt,
          revokedAt: attestations.revokedAt,
        })
        .from(attestations)
        .where(eq(attestations.accountId, accountId))
        .orderBy(sql`${attestations.expiresAt} desc`)
        .limit(countedMax),
    ]),
  );
  const [found] = facts;
  if (found === undefined) return null;
  return {
    ...found,
    attestations: attested.map(({ level, issuer, expiresMs, revokedAt }) => {
      return { level, issuer, expiresMs, revoked: revokedAt !== null };
    }),
  };
}
