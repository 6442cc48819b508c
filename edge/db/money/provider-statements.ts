import { and, eq, gte, lt, notInArray, type SQL, sql } from "drizzle-orm";
import { bookOf } from "../../../shared/assets.ts";
import type { Micros } from "../../../shared/money.ts";
import { isGenerated, taskKinds } from "../../../shared/openai/task-kinds.ts";
import type { Database } from "../database.ts";
import { type Period, taskKind } from "./invoices.ts";
import { creditAsset } from "../ledger/ledger.ts";
import { workers } from "../schema/registry.ts";
import { attempts, tasks, transfers } from "../schema/ledger.ts";

/** What one worker earned by the attempts it was paid for. */
export interface ServedRow {
  /** Null for what the ledger paid and no attempt of the task explains. */
  readonly workerId: string | null;
  readonly attempts: bigint;
  readonly tokens: bigint;
  /** What the consumers paid for its part of their answers. */
  readonly grossMicros: Micros;
  readonly earnedMicros: Micros;
}

/** Attempts of one worker that earned nothing and went the same way. */
export interface UnpaidRow {
  readonly workerId: string;
  /** As the hub noted it, without what stands behind a colon. */
  readonly outcome: string;
  readonly hasTokens: boolean;
  readonly isOwnTask: boolean;
  readonly isTaskVoid: boolean;
  readonly isTaskEmpty: boolean;
  readonly taskFinish: string | null;
  readonly attempts: bigint;
  readonly tokens: bigint;
}

export interface ProviderFigures {
  readonly served: readonly ServedRow[];
  readonly unpaid: readonly UnpaidRow[];
  /** What the ledger credited for tasks, whoever made them. */
  readonly creditedMicros: Micros;
}

type Asked = Period & { readonly accountId: string };

/**
 * What an account's workers earned by when it was paid, and their attempts that earned nothing by
 * when they began; all of one moment.
 */
export async function providerFigures(db: Database, asked: Asked): Promise<ProviderFigures> {
  type Flags = "hasTokens" | "isOwnTask" | "isTaskVoid" | "isTaskEmpty";
  type StoredUnpaid = Omit<UnpaidRow, Flags> & Readonly<Record<Flags, bigint>>;
  const [served, unpaid, credited] = await db.read("sum what workers earned", (orm) =>
    orm.batch([
      orm.all<ServedRow>(servedOf(asked)),
      orm.all<StoredUnpaid>(unpaidOf(asked)),
      orm.all<{ micros: Micros }>(sql`
        select coalesce(sum(${transfers.amountMicros}), 0) as "micros" from ${transfers}
        where ${creditedIn(asked)}`),
    ]),
  );
  return {
    served,
    unpaid: unpaid.map((row) => ({
      ...row,
      hasTokens: row.hasTokens === 1n,
      isOwnTask: row.isOwnTask === 1n,
      isTaskVoid: row.isTaskVoid === 1n,
      isTaskEmpty: row.isTaskEmpty === 1n,
    })),
    creditedMicros: credited[0]?.micros ?? 0n,
  };
}

function creditedIn({ accountId, fromMs, beforeMs }: Asked): SQL | undefined {
  return and(
    eq(transfers.creditAccount, bookOf(accountId, "earned")),
    gte(transfers.createdAt, fromMs),
    lt(transfers.createdAt, beforeMs),
    eq(transfers.kind, taskKind),
    eq(transfers.asset, creditAsset),
  );
}

/**
 * The place of a transfer's share among those of its task, from 1, by its id: `TASK:provider`, and
 * `TASK:provider:2` where a second worker went on.
 */
const place = sql`max(1, cast(substr(${transfers.id},
  length(${transfers.taskId}) + 2 + instr(substr(${transfers.id}, length(${transfers.taskId}) + 2),
  ':')) as integer))`;

/**
 * `paid`: the shares by which the account earned from the tasks of `scope`, each with the attempt
 * that made it. The account's shares of a task and what its workers made of it are matched from the
 * end, where the two always meet: who ended an answer is paid last.
 */
function paidIn(scope: SQL, accountId: string): SQL {
  const earned = bookOf(accountId, "earned");
  return sql`
    moved as (
      select ${transfers.taskId} as task, ${place} as place,
        sum(${transfers.amountMicros}) as gross,
        sum(case when ${transfers.creditAccount} = ${earned}
          then ${transfers.amountMicros} else 0 end) as earned
      from ${transfers}
      where ${transfers.taskId} in ${scope} and ${transfers.kind} = ${taskKind}
        and ${transfers.asset} = ${creditAsset}
      group by 1, 2
    ),
    shares as (
      select task, gross, earned, row_number() over (partition by task order by place desc) as nth
      from moved where earned > 0
    ),
    made as (
      select ${attempts.taskId} as task, ${attempts.number} as number,
        ${attempts.workerId} as worker, ${attempts.tokens} as tokens,
        row_number() over (partition by ${attempts.taskId} order by ${attempts.number} desc) as nth
      from ${attempts} join ${workers} on ${workers.id} = ${attempts.workerId}
      where ${attempts.taskId} in ${scope} and ${workers.accountId} = ${accountId}
        and (${attempts.outcome} = 'complete'
          or (${attempts.tokens} > 0 and ${attempts.outcome} <> 'superseded'))
    ),
    paid as (
      select shares.task, shares.gross, shares.earned, made.number, made.worker, made.tokens
      from shares left join made on made.task = shares.task and made.nth = shares.nth
    )`;
}

function servedOf(asked: Asked): SQL {
  const scope = sql`(select ${transfers.taskId} from ${transfers} where ${creditedIn(asked)})`;
  return sql`with ${paidIn(scope, asked.accountId)}
    select worker as "workerId", count(*) as "attempts", coalesce(sum(tokens), 0) as "tokens",
      sum(gross) as "grossMicros", sum(earned) as "earnedMicros"
    from paid group by worker order by worker`;
}

/** Vectors, scores and labels are paid by their prompt alone. */
const wholeKind = notInArray(
  tasks.kind,
  taskKinds.filter((kind) => isGenerated(kind)),
);

function unpaidOf({ accountId, fromMs, beforeMs }: Asked): SQL {
  const { outcome } = attempts;
  return sql`with own as (
      select ${attempts.taskId} as task, ${attempts.number} as number, ${workers.id} as worker,
        substr(${outcome}, 1, instr(${outcome} || ':', ':') - 1) as outcome,
        ${attempts.tokens} as tokens
      from ${workers} join ${attempts} on ${attempts.workerId} = ${workers.id}
      where ${workers.accountId} = ${accountId} and ${attempts.startedAt} >= ${BigInt(fromMs)}
        and ${attempts.startedAt} < ${BigInt(beforeMs)}
    ),
    ${paidIn(sql`(select task from own)`, accountId)}
    select own.worker as "workerId", own.outcome as "outcome",
      own.tokens > 0 or (${wholeKind} and ${tasks.promptTokens} > 0) as "hasTokens",
      ${tasks.accountId} = ${accountId} as "isOwnTask", ${tasks.state} = 'void' as "isTaskVoid",
      not ${wholeKind} and ${tasks.completionTokens} = 0 as "isTaskEmpty",
      ${tasks.finish} as "taskFinish", count(*) as "attempts", sum(own.tokens) as "tokens"
    from own join ${tasks} on ${tasks.id} = own.task
      left join paid on paid.task = own.task and paid.number = own.number
    where paid.task is null
    group by 1, 2, 3, 4, 5, 6, 7 order by 1, 2`;
}
