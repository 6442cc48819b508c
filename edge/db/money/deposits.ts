import { and, eq } from "drizzle-orm";
import { assert } from "../../../shared/assert.ts";
import type { Database } from "../database.ts";
import { beforeInTime, newestFirst } from "../order.ts";
import type { Page, PageRequest } from "../page.ts";
import { decodeCursor, timeCursorSchema, toPage } from "../page.ts";
import type { Account } from "../people/accounts.ts";
import { accounts } from "../schema/registry.ts";
import { deposits } from "../schema/money.ts";

export type Deposit = typeof deposits.$inferSelect;

/** Stores a deposit once; gives what is stored under its id, now or from before. */
export async function recordDeposit(db: Database, row: Deposit): Promise<Deposit> {
  await db.write("record the deposit", (orm) => [
    orm.insert(deposits).values(row).onConflictDoNothing({ target: deposits.id }),
  ]);
  const [stored] = await db.read("read the deposit", (orm) =>
    orm.select().from(deposits).where(eq(deposits.id, row.id)),
  );
  assert(stored !== undefined, `deposit ${row.id} is stored`);
  return stored;
}

/** Stores an account where it is new, and a deposit of its, if any; again changes nothing. */
export async function recordFirstDeposit(
  db: Database,
  account: Pick<Account, "id" | "name" | "concurrencyMax" | "createdAt">,
  deposit: Omit<Deposit, "accountId" | "createdAt"> | null,
): Promise<void> {
  const { id: accountId, createdAt } = account;
  const row: Account = {
    ...account,
    kind: "consumer",
    status: "active",
    routing: null,
    limits: null,
  };
  await db.write("record the deposit", (orm) => [
    orm.insert(accounts).values(row).onConflictDoNothing({ target: accounts.id }),
    ...(deposit === null
      ? []
      : [
          orm
            .insert(deposits)
            .values({ ...deposit, accountId, createdAt })
            .onConflictDoNothing({ target: deposits.id }),
        ]),
  ]);
}

/** The deposits of an account, newest first. */
export async function listDeposits(
  db: Database,
  query: PageRequest & { readonly accountId: string },
): Promise<Page<Deposit>> {
  const after = decodeCursor(timeCursorSchema, query.cursor);
  const order = { time: deposits.createdAt, id: deposits.id };
  const rows = await db.read("list the deposits", (orm) =>
    orm
      .select()
      .from(deposits)
      .where(and(eq(deposits.accountId, query.accountId), beforeInTime(order, after)))
      .orderBy(...newestFirst(order))
      .limit(query.limit + 1),
  );
  return toPage(rows, query.limit, (row) => [row.createdAt, row.id]);
}
