import * as fc from "fast-check";
import { expect, test } from "vitest";
import { invoiceFigures, listMonths } from "../../../edge/db/money/invoices.ts";
import { balanceOf, recordTransfers } from "../../helpers/ledger-rows.ts";
import { providerFigures } from "../../../edge/db/money/provider-statements.ts";
import { recordSettlements } from "../../../edge/db/ledger/tasks.ts";
import { recordWorkers } from "../../../edge/db/network/workers.ts";
import { invoiceOf } from "../../../edge/statements/invoice.ts";
import { providerStatementOf } from "../../../edge/statements/provider-statement.ts";
import { joinSettlements, sampleReport, sampleTask, sampleTransfer } from "./samples.ts";
import { type Part, settledTask } from "./settled.ts";
import type { MakeDatabase } from "./worlds.ts";

const [alice, paul, pia] = ["acct_alice", "acct_paul", "acct_pia"];
const october = { fromMs: Date.UTC(2026, 9), beforeMs: Date.UTC(2026, 10) };
const november = { fromMs: Date.UTC(2026, 10), beforeMs: Date.UTC(2026, 11) };
const inOctober = october.fromMs + 5;
const inNovember = november.fromMs + 5;

const byPaul: Part = { workerId: "worker-paul", providerAccountId: paul };
const byPia: Part = { workerId: "worker-pia", providerAccountId: pia };

function moved(id: string, kind: string, [from, to]: [string, string], micros: bigint, at: number) {
  return sampleTransfer({
    id,
    kind,
    taskId: null,
    debitAccount: from,
    creditAccount: to,
    amountMicros: micros,
    createdAt: at,
  });
}

export function describeStatements(makeDatabase: MakeDatabase): void {
  describeInvoices(makeDatabase);
  describeInvoiceFaults(makeDatabase);
  describeProviders(makeDatabase);
}

function describeInvoices(makeDatabase: MakeDatabase): void {
  test("a month's invoice leads from the balance before it to the balance after it", async () => {
    await using db = await makeDatabase();
    const own = `${alice}:available`;
    await recordTransfers(db, [
      moved("m1", "mint", ["system:mint", own], 5_000n, inOctober),
      moved("m2", "deposit", ["system:mint", own], 300n, inNovember),
      moved("w1", "withdrawal", [own, "system:payouts"], 200n, inNovember),
      moved("w2", "withdrawal", ["system:payouts", own], 50n, inNovember),
      moved("r1", "release", [`${alice}:earned`, own], 7n, inNovember),
      moved("s1", "slash", [`${alice}:stake`, "system:treasury"], 2n, inNovember),
    ]);
    await recordSettlements(
      db,
      joinSettlements([
        settledTask("tsk_a", [{ ...byPaul, tokens: 100 }], { nowMs: inOctober, account: alice }),
        settledTask(
          "tsk_b",
          [
            { ...byPaul, tokens: 60 },
            { ...byPia, tokens: 40 },
          ],
          {
            nowMs: inNovember,
            account: alice,
            model: "large",
          },
        ),
        settledTask("tsk_c", [{ ...byPaul, tokens: 10 }], {
          nowMs: inNovember,
          account: alice,
          key: "key_2",
          model: "large",
        }),
        settledTask("tsk_d", [{ ...byPaul, providerAccountId: alice, tokens: 100 }], {
          nowMs: inNovember,
          account: paul,
        }),
      ]),
    );
    const invoice = invoiceOf(await invoiceFigures(db, { accountId: alice, ...november }));
    expect(invoice).toMatchObject({
      openingMicros: 4_900n,
      creditedMicros: 300n,
      spentMicros: 110n,
      earnedMicros: 70n,
      withdrawnMicros: 150n,
      otherMicros: -2n,
      closingMicros: 5_008n,
      differenceMicros: 0n,
      byModel: [{ name: "large", tasks: 2n, completionTokens: 110n, spentMicros: 110n }],
    });
    expect(invoice.byKey.map(({ name, spentMicros }) => [name, spentMicros])).toEqual([
      ["key_1", 100n],
      ["key_2", 10n],
    ]);
    expect(await listMonths(db, alice)).toEqual([
      { month: "2026-10", changeMicros: 4_900n },
      { month: "2026-11", changeMicros: 108n },
    ]);
  });

  test("who asks their own workers has spent and earned", async () => {
    await using db = await makeDatabase();
    const between: [string, string] = [`${paul}:available`, `${paul}:earned`];
    const transfers = [
      { ...moved("tsk_a:provider", "task", between, 70n, inOctober), taskId: "tsk_a" },
      {
        ...moved("tsk_a:burn", "task", [between[0], "system:burn"], 30n, inOctober),
        taskId: "tsk_a",
      },
    ];
    const times = { createdAt: inOctober, endedAt: inOctober };
    const tasks = [sampleTask({ id: "tsk_a", accountId: paul, costMicros: 100n, ...times })];
    await recordSettlements(db, { tasks, transfers, attempts: [], receipts: [] });
    const invoice = invoiceOf(await invoiceFigures(db, { accountId: paul, ...october }));
    expect(invoice).toMatchObject({ spentMicros: 100n, earnedMicros: 70n, differenceMicros: 0n });
    expect(invoice.closingMicros).toBe(-30n);
  });

  test("an account whose credit never moved has no months and an invoice of nothing", async () => {
    await using db = await makeDatabase();
    expect(await listMonths(db, alice)).toEqual([]);
    const figures = await invoiceFigures(db, { accountId: alice, ...october });
    expect(figures.movements).toEqual([]);
    expect(invoiceOf(figures)).toMatchObject({ closingMicros: 0n, differenceMicros: 0n });
  });
}

function describeInvoiceFaults(makeDatabase: MakeDatabase): void {
  const task = () =>
    settledTask("tsk_a", [{ ...byPaul, tokens: 100 }], { nowMs: inOctober, account: alice });

  test.each<[string, (batch: ReturnType<typeof task>) => ReturnType<typeof task>, bigint]>([
    [
      "cost another amount",
      (b) => ({ ...b, tasks: b.tasks.map((t) => ({ ...t, costMicros: 90n })) }),
      10n,
    ],
    ["was never told of", (b) => ({ ...b, tasks: [], attempts: [] }), 100n],
    ["was never paid", (b) => ({ ...b, transfers: [] }), 100n],
    ["was paid in part", (b) => ({ ...b, transfers: b.transfers.slice(1) }), 70n],
  ])("an invoice tells of a task that %s", async (_, spoil, difference) => {
    await using db = await makeDatabase();
    await recordSettlements(db, spoil(task()));
    const invoice = invoiceOf(await invoiceFigures(db, { accountId: alice, ...october }));
    expect(invoice.differenceMicros).toBe(difference);
  });

  test("two faults of one size do not make up for each other", async () => {
    await using db = await makeDatabase();
    const other = { nowMs: inOctober, account: alice, model: "other" };
    const dearer = settledTask("tsk_b", [{ ...byPaul, tokens: 100 }], other);
    const [a, b] = [task(), dearer].map((batch, i) => ({
      ...batch,
      tasks: batch.tasks.map((row) => ({ ...row, costMicros: i === 0 ? 90n : 110n })),
    }));
    if (a !== undefined && b !== undefined) await recordSettlements(db, joinSettlements([a, b]));
    const invoice = invoiceOf(await invoiceFigures(db, { accountId: alice, ...october }));
    expect(invoice.differenceMicros).toBe(20n);
  });
}

function describeProviders(makeDatabase: MakeDatabase): void {
  const workers = [
    sampleReport({ id: "worker-paul", accountId: paul, listings: [] }),
    sampleReport({ id: "worker-paul-two", accountId: paul, listings: [] }),
    sampleReport({ id: "worker-pia", accountId: pia, listings: [] }),
  ];

  test("a statement tells by worker what was earned, and for each that earned nothing why", async () => {
    await using db = await makeDatabase();
    await recordWorkers(db, workers);
    const at = { nowMs: inOctober, account: alice };
    const two = { ...byPaul, workerId: "worker-paul-two" };
    const whole = settledTask("tsk_h", [byPaul], at);
    // Its worker made a token, of a stop that nobody is given.
    const stoppedAtOnce = {
      ...whole,
      tasks: whole.tasks.map((task) => ({ ...task, state: "settled" as const })),
      attempts: whole.attempts.map((attempt) => ({ ...attempt, tokens: 1 })),
    };
    await recordSettlements(
      db,
      joinSettlements([
        settledTask("tsk_a", [{ ...byPaul, tokens: 100 }], at),
        settledTask(
          "tsk_b",
          [
            { ...byPaul, outcome: "refused: busy" },
            { ...byPia, tokens: 100 },
          ],
          at,
        ),
        settledTask(
          "tsk_c",
          [
            { ...byPaul, outcome: "lost: it went away", tokens: 40 },
            { ...byPia, outcome: "late" },
            { ...two, tokens: 60 },
          ],
          at,
        ),
        settledTask("tsk_d", [{ ...byPaul, outcome: "cancelled" }], { ...at, finish: "cancelled" }),
        settledTask("tsk_e", [byPaul], at),
        settledTask(
          "tsk_f",
          [
            { ...two, outcome: "superseded" },
            { ...byPia, tokens: 9 },
          ],
          at,
        ),
        settledTask("tsk_g", [{ ...byPaul, tokens: 500 }], { ...at, nowMs: inNovember }),
        stoppedAtOnce,
      ]),
    );
    const figures = await providerFigures(db, { accountId: paul, ...october });
    const statement = providerStatementOf(figures);
    expect(statement.workers).toEqual([
      {
        workerId: "worker-paul",
        served: 2,
        tokens: 140n,
        grossMicros: 140n,
        earnedMicros: 98n,
        unpaid: [
          { reason: "refused", attempts: 1, tokens: 0n },
          { reason: "cancelled", attempts: 1, tokens: 0n },
          { reason: "zero_tokens", attempts: 2, tokens: 1n },
        ],
      },
      {
        workerId: "worker-paul-two",
        served: 1,
        tokens: 60n,
        grossMicros: 60n,
        earnedMicros: 42n,
        unpaid: [{ reason: "superseded", attempts: 1, tokens: 0n }],
      },
    ]);
    expect(statement.total).toMatchObject({ served: 3, earnedMicros: 140n });
    expect(statement.differenceMicros).toBe(0n);
    const later = await providerFigures(db, { accountId: paul, ...november });
    expect(providerStatementOf(later).total).toMatchObject({ earnedMicros: 350n, unpaid: [] });
  });

  test("a false receipt, a broken answer and a task of the own account say so", async () => {
    await using db = await makeDatabase();
    await recordWorkers(db, workers);
    const at = { nowMs: inOctober, account: alice };
    const broken = settledTask("tsk_b", [{ ...byPaul, outcome: "stalled" }], at);
    await recordSettlements(
      db,
      joinSettlements([
        settledTask("tsk_a", [byPaul], { ...at, finish: "receipt_invalid" }),
        { ...broken, attempts: broken.attempts.map((row) => ({ ...row, tokens: 12 })) },
        settledTask("tsk_c", [byPaul], { ...at, account: paul }),
      ]),
    );
    const figures = await providerFigures(db, { accountId: paul, ...october });
    expect(providerStatementOf(figures).total.unpaid).toEqual([
      { reason: "stalled", attempts: 1, tokens: 12n },
      { reason: "receipt_invalid", attempts: 1, tokens: 0n },
      { reason: "own_account", attempts: 1, tokens: 0n },
    ]);
  });

  test("whoever made what, the lines add up to what the ledger credited", async () => {
    await using db = await makeDatabase();
    await recordWorkers(db, workers);
    const partArbitrary = fc.record({
      of: fc.constantFrom(byPaul, byPia, { ...byPaul, workerId: "worker-paul-two" }),
      outcome: fc.constantFrom("lost: gone", "late", "refused: busy"),
      tokens: fc.integer({ min: 0, max: 300 }),
    });
    const tasks = fc.sample(fc.array(partArbitrary, { minLength: 1, maxLength: 4 }), {
      numRuns: 40,
      seed: 11,
    });
    const batches = tasks.map((parts, i) => {
      const last = parts.length - 1;
      const made = parts.map(({ of, outcome, tokens }, at): Part => {
        if (at === last) return { ...of, tokens };
        return { ...of, outcome, tokens: outcome === "lost: gone" ? tokens : 0 };
      });
      return settledTask(`tsk_${i}`, made, { nowMs: inOctober, account: alice });
    });
    await recordSettlements(db, joinSettlements(batches));
    for (const accountId of [paul, pia]) {
      const figures = await providerFigures(db, { accountId, ...october });
      const { total, differenceMicros, workers: lines } = providerStatementOf(figures);
      expect(differenceMicros).toBe(0n);
      expect(total.earnedMicros).toBe(await balanceOf(db, `${accountId}:earned`));
      const own = workers.filter((worker) => worker.accountId === accountId);
      for (const { id } of own) {
        const made = tasks.flat().filter(({ of }) => of.workerId === id).length;
        const line = lines.find(({ workerId }) => workerId === id);
        const unpaid = line?.unpaid.reduce((sum, { attempts }) => sum + attempts, 0) ?? 0;
        expect((line?.served ?? 0) + unpaid).toBe(made);
      }
    }
  });
}
