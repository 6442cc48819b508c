import { expect, test } from "vitest";
import { balanceOf } from "../../helpers/ledger-rows.ts";
import { findTask, listTasks, recordSettlements } from "../../../edge/db/ledger/tasks.ts";
import { allPages } from "./all-pages.ts";
import {
  joinSettlements,
  sampleAttempt,
  sampleReceipt,
  sampleSettlements,
  sampleTask,
} from "./samples.ts";
import type { MakeDatabase } from "./worlds.ts";

const none = { tasks: [], attempts: [], transfers: [], receipts: [] };

export function describeTasks(makeDatabase: MakeDatabase): void {
  describeSettlements(makeDatabase);
  describeReads(makeDatabase);
}

function describeSettlements(makeDatabase: MakeDatabase): void {
  test("a batch sent again after a lost answer changes nothing", async () => {
    await using db = await makeDatabase();
    const batch = joinSettlements(["tsk_a", "tsk_b", "tsk_c"].map((id) => sampleSettlements(id)));
    const three = { tasks: 3, attempts: 3, transfers: 3, receipts: 3 };
    expect(await recordSettlements(db, batch)).toEqual(three);
    const before = await findTask(db, { accountId: "acct_alice", id: "tsk_b" });
    expect(await recordSettlements(db, batch)).toEqual({
      tasks: 0,
      attempts: 0,
      transfers: 0,
      receipts: 0,
    });
    expect(await findTask(db, { accountId: "acct_alice", id: "tsk_b" })).toEqual(before);
    expect(await balanceOf(db, "acct_paul:earned")).toBe(12_000n);
  });

  test("a batch that overlaps an earlier one adds only what is new", async () => {
    await using db = await makeDatabase();
    await recordSettlements(db, sampleSettlements("tsk_a"));
    const overlap = joinSettlements([
      sampleSettlements("tsk_a", { costMicros: 1n }),
      sampleSettlements("tsk_b"),
    ]);
    expect(await recordSettlements(db, overlap)).toMatchObject({ tasks: 1, transfers: 1 });
    const first = await findTask(db, { accountId: "acct_alice", id: "tsk_a" });
    expect(first?.task.costMicros).toBe(4_000n);
  });

  test("two writers of the same batch at once store it once", async () => {
    await using db = await makeDatabase();
    const batch = sampleSettlements("tsk_a");
    const counts = await Promise.all(Array.from({ length: 8 }, () => recordSettlements(db, batch)));
    expect(counts.reduce((sum, count) => sum + count.transfers, 0)).toBe(1);
  });

  test("an empty batch and a late receipt are welcome", async () => {
    await using db = await makeDatabase();
    await recordSettlements(db, none);
    const counts = await recordSettlements(db, { ...none, receipts: [sampleReceipt()] });
    expect(counts).toEqual({ tasks: 0, attempts: 0, transfers: 0, receipts: 1 });
  });

  test("a batch with one row the schema refuses stores nothing at all", async () => {
    await using db = await makeDatabase();
    const batch = sampleSettlements("tsk_a");
    const broken = { ...batch, attempts: [sampleAttempt({ taskId: "tsk_unknown" })] };
    await expect(recordSettlements(db, broken)).rejects.toMatchObject({ code: "conflict" });
    expect(await findTask(db, { accountId: "acct_alice", id: "tsk_a" })).toBeNull();
    expect(await balanceOf(db, "acct_paul:earned")).toBe(0n);
  });
}

function describeReads(makeDatabase: MakeDatabase): void {
  test("a task comes back as it was stored, with its attempts and receipts in order", async () => {
    await using db = await makeDatabase();
    const task = sampleTask({
      holdMicros: 2n ** 53n + 1n,
      model: `it's "quoted" \\ and 🐙\u2028`,
      digest: null,
      streamed: false,
      finish: null,
      firstTokenAt: null,
      errorCode: "worker_failed",
    });
    const attempts = [3, 1, 2].map((number) =>
      sampleAttempt({ number, outcome: "lost", firstTokenAt: null }),
    );
    const receipts = [2, 1].map((attempt) => sampleReceipt({ attempt }));
    await recordSettlements(db, { ...none, tasks: [task], attempts, receipts });
    expect(await findTask(db, { accountId: "acct_alice", id: "tsk_one" })).toEqual({
      task,
      attempts: attempts.toSorted((a, b) => a.number - b.number),
      receipts: receipts.toReversed(),
    });
  });

  test("a task is nobody's but its account's", async () => {
    await using db = await makeDatabase();
    await recordSettlements(db, sampleSettlements("tsk_a"));
    expect(await findTask(db, { accountId: "acct_bob", id: "tsk_a" })).toBeNull();
    expect((await listTasks(db, { accountId: "acct_bob", limit: 5 })).items).toEqual([]);
  });

  test("paging through tasks meets each once, newest first, while others are settled", async () => {
    await using db = await makeDatabase();
    const ids = Array.from({ length: 10 }, (_, i) => `tsk_${i}`);
    await recordSettlements(
      db,
      joinSettlements(
        ids.map((id, i) => sampleSettlements(id, { createdAt: 100 + Math.floor(i / 4) })),
      ),
    );
    const listed = await allPages(
      (cursor) => listTasks(db, { accountId: "acct_alice", cursor, limit: 3 }),
      async (page) => {
        await recordSettlements(db, sampleSettlements(`tsk_new${page}`, { createdAt: 999 }));
      },
    );
    expect(listed.map((task) => task.id)).toEqual(ids.toReversed());
    expect(listed[0]).not.toHaveProperty("route");
  });
}
