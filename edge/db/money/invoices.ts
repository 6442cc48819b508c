import { and, eq, gte, lt, type SQL, sql } from "drizzle-orm";
import type { SQLiteColumn } from "drizzle-orm/sqlite-core";
import type { Micros } from "../../../shared/money.ts";
import { isOwn, ownEntries } from "../ledger/account-books.ts";
import type { Database } from "../database.ts";
import { creditAsset } from "../ledger/ledger.ts";
import { tasks, transfers } from "../schema/ledger.ts";

/** The kind of the transfers that settle a task. */
export const taskKind = "task";

/** How an account's credit changed in one month. */
export interface MonthChange {
  /** `2026-11`, in UTC. */
  readonly month: string;
  readonly changeMicros: Micros;
}

/** What moved between an account and one kind of others, for one kind of reason. */
export interface Movement {
  readonly kind: string;
  readonly direction: "in" | "out";
  /** The network's own ledger account, `own` for another of the account's, or `account`. */
  readonly other: string;
  readonly micros: Micros;
  readonly transfers: bigint;
}

/** What was spent on one model with one key; nulls where the ledger knows no such task. */
export interface Spending {
  readonly model: string | null;
  readonly keyId: string | null;
  readonly tasks: bigint;
  readonly promptTokens: bigint;
  readonly completionTokens: bigint;
  /** By the transfers. */
  readonly spentMicros: Micros;
  /** By the tasks themselves. */
  readonly costMicros: Micros;
}

/** Everything of an invoice, each figure summed apart from the others. */
export interface InvoiceFigures {
  readonly openingMicros: Micros;
  readonly closingMicros: Micros;
  readonly movements: readonly Movement[];
  readonly spendings: readonly Spending[];
  /** Of tasks that ended with a cost and have no transfer. */
  readonly unpostedMicros: Micros;
}

export interface Period {
  readonly fromMs: number;
  readonly beforeMs: number;
}

/** The months in which an account's credit moved, the first one first. */
export async function listMonths(db: Database, accountId: string): Promise<readonly MonthChange[]> {
  return db.read("list the months", (orm) =>
    orm.all<MonthChange>(sql`
      select strftime('%Y-%m', at_ms / 1000, 'unixepoch') as "month", sum(micros) as "changeMicros"
      from ${ownEntries(accountId, creditAsset)} group by 1 order by 1`),
  );
}

/** The figures of an account's credit over a period, all of one moment. */
export async function invoiceFigures(
  db: Database,
  of: Period & { readonly accountId: string },
): Promise<InvoiceFigures> {
  type Sum = { readonly micros: Micros };
  const [opening, closing, movements, spendings, unposted] = await db.read(
    "sum the invoice",
    (orm) =>
      orm.batch([
        orm.all<Sum>(balanceBefore(of.accountId, of.fromMs)),
        orm.all<Sum>(balanceBefore(of.accountId, of.beforeMs)),
        orm.all<Movement>(movementsOf(of)),
        orm.all<Spending>(spendingsOf(of)),
        orm.all<Sum>(unpostedOf(of)),
      ]),
  );
  return {
    openingMicros: opening[0]?.micros ?? 0n,
    closingMicros: closing[0]?.micros ?? 0n,
    movements,
    spendings,
    unpostedMicros: unposted[0]?.micros ?? 0n,
  };
}

function balanceBefore(accountId: string, beforeMs: number): SQL {
  return sql`select coalesce(sum(micros), 0) as "micros"
    from ${ownEntries(accountId, creditAsset)} where at_ms < ${BigInt(beforeMs)}`;
}

/** What came and went by kind; what moves between the account's own books does both. */
function movementsOf({ accountId, ...period }: Period & { readonly accountId: string }): SQL {
  const { creditAccount, debitAccount, kind } = transfers;
  const side = (direction: "in" | "out", own: SQLiteColumn, other: SQLiteColumn) => sql`
    select ${kind} as "kind", ${direction} as "direction",
      case when ${isOwn(other, accountId)} then 'own'
        when ${other} like 'system:%' then ${other} else 'account' end as "other",
      sum(${transfers.amountMicros}) as "micros", count(*) as "transfers"
    from ${transfers}
    where ${isOwn(own, accountId)} and ${withinPeriod(period)} group by 1, 3`;
  return sql`${side("in", creditAccount, debitAccount)}
    union all ${side("out", debitAccount, creditAccount)} order by 1, 2, 3`;
}

/** What tasks were paid for, joined to the tasks only after it was summed by task. */
function spendingsOf({ accountId, ...period }: Period & { readonly accountId: string }): SQL {
  return sql`
    select ${tasks.model} as "model", ${tasks.keyId} as "keyId", count(*) as "tasks",
      coalesce(sum(${tasks.promptTokens}), 0) as "promptTokens",
      coalesce(sum(${tasks.completionTokens}), 0) as "completionTokens",
      sum(paid.micros) as "spentMicros", coalesce(sum(${tasks.costMicros}), 0) as "costMicros"
    from (
      select ${transfers.taskId} as task, sum(${transfers.amountMicros}) as micros from ${transfers}
      where ${isOwn(transfers.debitAccount, accountId)} and ${transfers.kind} = ${taskKind}
        and ${withinPeriod(period)}
      group by 1
    ) as paid
    left join ${tasks} on ${tasks.id} = paid.task and ${tasks.accountId} = ${accountId}
    group by 1, 2 order by 1, 2`;
}

/** A task is settled within a day of being asked for; an hour more is for clocks that disagree. */
const settledWithinMs = 25 * 3_600_000;
const clockMs = 3_600_000;

function unpostedOf({ accountId, fromMs, beforeMs }: Period & { readonly accountId: string }): SQL {
  const within = and(
    eq(tasks.accountId, accountId),
    gte(tasks.createdAt, fromMs - settledWithinMs),
    lt(tasks.createdAt, beforeMs + clockMs),
    gte(tasks.endedAt, fromMs),
    lt(tasks.endedAt, beforeMs),
  );
  return sql`select coalesce(sum(${tasks.costMicros}), 0) as "micros" from ${tasks}
    where ${within} and ${tasks.costMicros} > 0
      and not exists (select 1 from ${transfers} where ${transfers.taskId} = ${tasks.id})`;
}

function withinPeriod({ fromMs, beforeMs }: Period): SQL | undefined {
  return and(
    eq(transfers.asset, creditAsset),
    gte(transfers.createdAt, fromMs),
    lt(transfers.createdAt, beforeMs),
  );
}
