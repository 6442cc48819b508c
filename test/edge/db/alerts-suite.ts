import { expect, test } from "vitest";
import { listAlerts, type NewAlert, recordAlerts } from "../../../edge/db/money/alerts.ts";
import { allPages } from "./all-pages.ts";
import type { MakeDatabase } from "./worlds.ts";

function sampleAlert(change: Partial<NewAlert> = {}): NewAlert {
  return {
    id: "alr_1",
    accountId: "acct_alice",
    scope: "key",
    scopeId: "k0000001",
    period: "day",
    percent: 80,
    spentMicros: 2n ** 53n - 1n,
    budgetMicros: 2n ** 53n - 1n,
    createdAt: 1_000,
    ...change,
  };
}

export function describeAlerts(makeDatabase: MakeDatabase): void {
  test("an alert is stored once, as it was told first", async () => {
    await using db = await makeDatabase();
    await recordAlerts(db, []);
    await recordAlerts(db, [sampleAlert()]);
    await recordAlerts(db, [sampleAlert({ percent: 95 }), sampleAlert({ id: "alr_2" })]);
    const { items } = await listAlerts(db, { accountId: "acct_alice", limit: 9 });
    expect(items).toEqual([sampleAlert({ id: "alr_2" }), sampleAlert()]);
  });

  test("alerts are listed newest first, in pages, of one account alone", async () => {
    await using db = await makeDatabase();
    const times = [5, 1, 3, 3, 2];
    const rows = times.map((createdAt, at) => sampleAlert({ id: `alr_${at}`, createdAt }));
    await recordAlerts(db, [...rows, sampleAlert({ id: "alr_9", accountId: "acct_bob" })]);
    const pages = await allPages((cursor) =>
      listAlerts(db, { accountId: "acct_alice", cursor, limit: 2 }),
    );
    expect(pages.map(({ id }) => id)).toEqual(["alr_0", "alr_3", "alr_2", "alr_4", "alr_1"]);
  });
}
