import { and, eq, ne, sql } from "drizzle-orm";
import type { Database } from "../database.ts";
import { payoutProofs, payouts } from "../schema/money.ts";
import { selectRows } from "../rows.ts";
import type { Payout } from "./payouts.ts";

export type PayoutProof = typeof payoutProofs.$inferSelect;
/** A proof is about a kilobyte of text: half a megabyte a statement. */
const proofsAtOnce = 500;

/**
 * Stores the proofs of a payout that is being made, all of them afresh: one that broke off may have
 * stored others. Of a payout that was finished meanwhile nothing changes. Where two make the same
 * payout at once some may be missing, and are computed when they are asked for.
 */
export async function storeProofs(
  db: Database,
  payoutId: string,
  proofs: readonly Omit<PayoutProof, "payoutId">[],
): Promise<void> {
  const isOpen = sql`exists (select 1 from ${payouts}
    where ${and(eq(payouts.id, payoutId), eq(payouts.root, ""))})`;
  await db.write("forget the payout's proofs", (orm) => [
    orm.delete(payoutProofs).where(and(eq(payoutProofs.payoutId, payoutId), isOpen)),
  ]);
  for (let at = 0; at < proofs.length; at += proofsAtOnce) {
    const rows = proofs.slice(at, at + proofsAtOnce).map((proof) => ({ ...proof, payoutId }));
    await db.write("store the payout's proofs", (orm) => [
      orm
        .insert(payoutProofs)
        .select(sql`${selectRows(payoutProofs, rows)} and ${isOpen}`)
        .onConflictDoNothing(),
    ]);
  }
}

/**
 * Forgets proofs that a newer payout of the asset has made old: a contract is shown the last root,
 * and whoever wants another has it computed. Those of addresses that a payout itself paid stay.
 */
export async function forgetOldProofs(
  db: Database,
  { id, asset, createdAt }: Pick<Payout, "id" | "asset" | "createdAt">,
): Promise<void> {
  const isBefore = and(
    eq(payouts.asset, asset),
    ne(payouts.id, id),
    sql`${payouts.createdAt} < ${sql.param(createdAt, payouts.createdAt)}`,
  );
  await db.write("forget old proofs", (orm) => [
    orm.delete(payoutProofs).where(
      and(
        eq(payoutProofs.isPaid, false),
        sql`${payoutProofs.payoutId} = (select ${payouts.id} from ${payouts} where ${isBefore}
            order by ${payouts.createdAt} desc limit 1)`,
      ),
    ),
  ]);
}

/** The proof that a payout paid an address so much in all; null where none is stored. */
export async function findProof(
  db: Database,
  key: { readonly payoutId: string; readonly address: string },
): Promise<(PayoutProof & { readonly root: string }) | null> {
  const rows = await db.read("find the proof", (orm) =>
    orm
      .select({
        payoutId: payoutProofs.payoutId,
        address: payoutProofs.address,
        cumulativeMicros: payoutProofs.cumulativeMicros,
        proof: payoutProofs.proof,
        isPaid: payoutProofs.isPaid,
        root: payouts.root,
      })
      .from(payoutProofs)
      .innerJoin(payouts, eq(payouts.id, payoutProofs.payoutId))
      .where(
        and(
          eq(payoutProofs.payoutId, key.payoutId),
          eq(payoutProofs.address, key.address),
          ne(payouts.root, ""),
        ),
      ),
  );
  return rows[0] ?? null;
}
