import { eq, sql } from "drizzle-orm";
import { systemBooks } from "../../../shared/assets.ts";
import type { Micros } from "../../../shared/money.ts";
import { currentBooks } from "./current-books.ts";
import type { Database } from "../database.ts";
import { transfers } from "../schema/ledger.ts";

/** What lies in one sort of ledger account, of one asset. */
export interface Holding {
  readonly asset: string;
  /** A bucket, as `earned`, over all accounts; or the network's own ledger account. */
  readonly place: string;
  readonly micros: Micros;
}

/** What the mint gave out, of one asset, whatever came back. */
export interface Minted {
  readonly asset: string;
  readonly micros: Micros;
}

/** Where all of every asset is, of one moment. */
export async function holdings(
  db: Database,
): Promise<{ readonly holdings: readonly Holding[]; readonly minted: readonly Minted[] }> {
  const [held, minted] = await db.read("sum the supply", (orm) =>
    orm.batch([
      orm.all<Holding>(sql`
        select asset as "asset", case when book like 'acct\\_%' escape '\\'
          then substr(book, instr(book, ':') + 1) else book end as "place",
          sum(balance) as "micros"
        from ${currentBooks} group by 1, 2 order by 1, 2`),
      orm.all<Minted>(sql`
        select ${transfers.asset} as "asset", sum(${transfers.amountMicros}) as "micros"
        from ${transfers} where ${eq(transfers.debitAccount, systemBooks.mint)} group by 1`),
    ]),
  );
  return { holdings: held, minted };
}
