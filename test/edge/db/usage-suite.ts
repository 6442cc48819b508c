import * as fc from "fast-check";
import { expect, test } from "vitest";
import { balanceOf } from "../../helpers/ledger-rows.ts";
import { recordSettlements } from "../../../edge/db/ledger/tasks.ts";
import {
  usage,
  type UsageGroup,
  usageGroups,
  type UsageSums,
} from "../../../edge/db/money/usage.ts";
import { bookOf } from "../../../shared/assets.ts";
import { sampleTask, sampleTransfer } from "./samples.ts";
import type { MakeDatabase } from "./worlds.ts";

const day = 86_400_000;

/** Tasks of two accounts over four days, some of which cost nothing. */
const taskArbitrary = fc.record({
  accountId: fc.constantFrom("acct_alice", "acct_bob"),
  keyId: fc.constantFrom("k0000001", "k0000002"),
  model: fc.constantFrom("octo-tiny", "=cmd", "model, large"),
  teamId: fc.constantFrom(null, "team_red"),
  projectId: fc.constantFrom(null, "proj_a", "proj_b"),
  createdAt: fc.integer({ min: 0, max: 4 * day - 1 }),
  promptTokens: fc.integer({ min: 0, max: 5_000 }),
  completionTokens: fc.integer({ min: 0, max: 5_000 }),
  costMicros: fc.bigInt({ min: 0n, max: 10n ** 9n }),
});

function added(rows: readonly UsageSums[]): UsageSums {
  const sum = (of: (row: UsageSums) => bigint) => rows.reduce((all, row) => all + of(row), 0n);
  return {
    tasks: sum((row) => row.tasks),
    failedTasks: sum((row) => row.failedTasks),
    promptTokens: sum((row) => row.promptTokens),
    completionTokens: sum((row) => row.completionTokens),
    costMicros: sum((row) => row.costMicros),
  };
}

export function describeUsage(makeDatabase: MakeDatabase): void {
  test("usage grouped in any way adds up to the same, and to what the ledger moved", async () => {
    await using db = await makeDatabase();
    const seeds = fc.sample(taskArbitrary, { numRuns: 60, seed: 7 });
    const tasks = seeds.map((seed, i) => {
      const isVoid = seed.costMicros === 0n;
      return sampleTask({ id: `tsk_${i}`, ...seed, state: isVoid ? "void" : "settled" });
    });
    const paid = tasks.filter(({ costMicros }) => costMicros > 0n);
    const transfers = paid.map(({ id, accountId, costMicros }) =>
      sampleTransfer({
        id: `${id}:provider`,
        taskId: id,
        debitAccount: bookOf(accountId, "available"),
        amountMicros: costMicros,
      }),
    );
    await recordSettlements(db, { tasks, attempts: [], transfers, receipts: [] });
    const range = { fromMs: 0, beforeMs: 4 * day, limit: 1_000 };
    const groupsArbitrary = fc.shuffledSubarray([...usageGroups], { minLength: 1 });
    await fc.assert(
      fc.asyncProperty(
        groupsArbitrary,
        fc.constantFrom("acct_alice", "acct_bob"),
        async (groupBy: UsageGroup[], accountId) => {
          const { rows, total } = await usage(db, { accountId, groupBy, ...range });
          expect(added(rows)).toEqual(total);
          expect(-total.costMicros).toBe(await balanceOf(db, `${accountId}:available`));
          const own = tasks.filter((task) => task.accountId === accountId);
          expect(total.tasks).toBe(BigInt(own.length));
          const groups = rows.map((row) => JSON.stringify(groupBy.map((group) => row[group])));
          expect(new Set(groups).size).toBe(rows.length);
        },
      ),
      { numRuns: 20 },
    );
  });

  test("a task counts on the day, in UTC, on which it was asked for", async () => {
    await using db = await makeDatabase();
    const times = [day - 1, day, 2 * day - 1, 2 * day];
    const tasks = times.map((createdAt, i) => sampleTask({ id: `tsk_${i}`, createdAt }));
    await recordSettlements(db, { tasks, attempts: [], transfers: [], receipts: [] });
    const range = { accountId: "acct_alice", fromMs: day, beforeMs: 2 * day };
    const { rows, total } = await usage(db, { ...range, groupBy: ["day"], limit: 9 });
    expect(rows).toMatchObject([{ day: "1970-01-02", tasks: 2n }]);
    expect(total.tasks).toBe(2n);
  });

  test("broken answers count as failed, those of no team are a group, and rows are bounded", async () => {
    await using db = await makeDatabase();
    const tasks = [
      sampleTask({ id: "tsk_a", teamId: "team_red" }),
      sampleTask({ id: "tsk_b", state: "void", costMicros: 0n }),
      sampleTask({ id: "tsk_c", errorCode: "worker_failed" }),
    ];
    await recordSettlements(db, { tasks, attempts: [], transfers: [], receipts: [] });
    const range = { accountId: "acct_alice", fromMs: 0, beforeMs: day };
    const { rows } = await usage(db, { ...range, groupBy: ["team"], limit: 9 });
    expect(rows).toMatchObject([
      { team: null, tasks: 2n, failedTasks: 2n },
      { team: "team_red", tasks: 1n, failedTasks: 0n },
    ]);
    const cut = await usage(db, { ...range, groupBy: ["team"], limit: 1 });
    expect([cut.rows.length, cut.total.tasks]).toEqual([1, 3n]);
  });

  test("an account that asked for nothing has used nothing", async () => {
    await using db = await makeDatabase();
    const range = { accountId: "acct_alice", fromMs: 0, beforeMs: day };
    const { rows, total } = await usage(db, { ...range, groupBy: ["day"], limit: 9 });
    expect(rows).toEqual([]);
    expect(total).toEqual(added([]));
  });
}
