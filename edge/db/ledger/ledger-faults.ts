import { and, type SQL, sql } from "drizzle-orm";
import { assets, systemBooks } from "../../../shared/assets.ts";
import { isOverdraft } from "../../../shared/overdraft.ts";
import type { Micros } from "../../../shared/money.ts";
import { currentBooks } from "./current-books.ts";
import type { Database } from "../database.ts";
import { taskKind } from "../money/invoices.ts";
import { creditAsset, entriesOf, rowsAfter, rowsUpTo } from "./ledger.ts";
import { bookBalances } from "../schema/checks.ts";
import { tasks, transfers } from "../schema/ledger.ts";

/** Of one sort of faults so many are told: whoever mends the first will look again. */
const toldMax = 20;

interface Range {
  /** The last row of the ledger that was checked before. */
  readonly after: number;
  readonly through: number;
  /** Look at everything up to `through`, and at what was kept of it. */
  readonly isWhole: boolean;
}

/** What is wrong in the ledger, a sentence each. */
export async function findFaults(db: Database, range: Range): Promise<readonly string[]> {
  const rows = and(rowsAfter(range.isWhole ? 0 : range.after), rowsUpTo(range.through)) ?? sql``;
  const [sums, below, gaps, unequal] = await db.read("look for faults in the ledger", (orm) =>
    orm.batch([
      orm.all<AssetSum>(sql`select asset as "asset", sum(balance) as "micros"
        from ${currentBooks} group by asset`),
      orm.all<BelowZero>(sql`select book as "book", asset as "asset", balance as "micros"
        from ${currentBooks} where balance < 0 and book <> ${systemBooks.mint}
        order by book, asset`),
      orm.all<Gap>(gapsIn(rows)),
      orm.all<Unequal>(unequalIn(rows)),
    ]),
  );
  const whole = range.isWhole ? await changedSinceChecked(db, range) : [];
  return [
    ...sums.flatMap(assetFault),
    ...below
      .filter((book) => !isOverdraft(book))
      .slice(0, toldMax)
      .map(belowFault),
    ...gaps.map(gapFault),
    ...unequal.map(unequalFault),
    ...whole,
  ];
}

interface AssetSum {
  readonly asset: string;
  readonly micros: Micros;
}

function assetFault({ asset, micros }: AssetSum): string[] {
  const known: readonly string[] = assets;
  return [
    ...(micros === 0n ? [] : [`All balances of ${asset} sum to ${micros} micros, not to 0`]),
    ...(known.includes(asset) ? [] : [`The ledger has ${asset}, which is no asset of it`]),
  ];
}

interface BelowZero extends AssetSum {
  readonly book: string;
}

function belowFault({ book, asset, micros }: BelowZero): string {
  return `${book} has ${micros} micros of ${asset}, and may not have less than 0`;
}

interface Gap {
  readonly source: string;
  readonly first: bigint;
  readonly last: bigint;
  readonly count: bigint;
}

/** Journals that miss a transfer among these rows, or between them and those before. */
function gapsIn(rows: SQL): SQL {
  return sql`
    select * from (
      select ${transfers.source} as "source", min(${transfers.sourceSeq}) as "first",
        max(${transfers.sourceSeq}) as "last", count(*) as "count"
      from ${transfers} where ${rows} and ${transfers.source} <> '' group by 1
    ) as journal
    where "count" <> "last" - "first" + 1 or ("first" > 1 and not exists (
      select 1 from ${transfers} as before
      where before.source = journal."source" and before.source <> ''
        and before.source_seq = journal."first" - 1))
    order by "source" limit ${toldMax}`;
}

function gapFault({ source, first, last, count }: Gap): string {
  const has = `${count} transfers from ${first} to ${last}`;
  return `The journal of ${source} misses a transfer: it has ${has}, and should have each of them`;
}

interface Unequal {
  readonly task: string;
  readonly moved: Micros;
  readonly cost: Micros | null;
}

/** Tasks that cost something else than their transfers moved, wherever those are. */
function unequalIn(rows: SQL): SQL {
  return sql`
    select * from (
      select seen.task as "task", ${tasks.costMicros} as "cost",
        (select sum(paid.amount_micros) from ${transfers} as paid
          where paid.task_id = seen.task and paid.kind = ${taskKind}
            and paid.asset = ${creditAsset}) as "moved"
      from (
        select distinct ${transfers.taskId} as task from ${transfers}
        where ${rows} and ${transfers.kind} = ${taskKind} and ${transfers.taskId} is not null
      ) as seen left join ${tasks} on ${tasks.id} = seen.task
    )
    where "cost" is null or "cost" <> "moved" order by "task" limit ${toldMax}`;
}

function unequalFault({ task, moved, cost }: Unequal): string {
  if (cost === null) return `Transfers of task ${task} move ${moved} micros, and there is no task`;
  return `Task ${task} cost ${cost} micros, and its transfers move ${moved}`;
}

interface Changed {
  readonly book: string;
  readonly asset: string;
  readonly kept: Micros;
  readonly summed: Micros;
}

/** What the transfers say now of the balances that were kept when they were checked. */
async function changedSinceChecked(db: Database, range: Range): Promise<string[]> {
  const [changed, counted] = await db.read("sum the whole ledger", (orm) =>
    orm.batch([
      orm.all<Changed>(sql`
        select book as "book", asset as "asset", sum(kept) as "kept", sum(summed) as "summed" from (
          select ${bookBalances.book} as book, ${bookBalances.asset} as asset,
            ${bookBalances.balanceMicros} as kept, 0 as summed from ${bookBalances}
          union all
          select account, asset, 0, micros from ${entriesOf(rowsUpTo(range.after))}
        ) group by 1, 2 having sum(kept) <> sum(summed) order by 1, 2 limit ${toldMax}`),
      orm.all<{ count: bigint }>(sql`
        select count(*) as "count" from ${transfers} where ${rowsUpTo(range.after)}`),
    ]),
  );
  const missing = BigInt(range.after) - (counted[0]?.count ?? 0n);
  return [
    ...(missing === 0n ? [] : [`${missing} transfers are gone that were checked before`]),
    ...changed.map(
      ({ book, asset, kept, summed }) =>
        `${book} had ${kept} micros of ${asset} when its transfers were checked, and the same ` +
        `transfers now say ${summed}`,
    ),
  ];
}
