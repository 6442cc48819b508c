import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import type { Account } from "../../../edge/billing/account.ts";
import type { MoveRequest } from "../../../edge/billing/money/move-money.ts";
import type { PendRequest } from "../../../edge/billing/money/pending-money.ts";
import { balanceOf } from "../../helpers/ledger-rows.ts";
import { accountObject } from "../../../edge/objects.ts";
import { bookOf, type Bucket, systemBooks } from "../../../shared/assets.ts";
import { newId } from "../../../shared/ids.ts";
import { until } from "../../helpers/until.ts";
import { postOf, termsFor, voidOf } from "./closings.ts";
import { env, openDatabase } from "../routes/edge-client.ts";
import { type Consumer, ledgerSum, newFunded, summaryOf, untilSettled } from "../world.ts";

function objectOf({ accountId }: Pick<Consumer, "accountId">): DurableObjectStub<Account> {
  return accountObject(env, accountId);
}

function moveOf(
  { accountId }: Consumer,
  to: string,
  micros: bigint,
  changes: Partial<MoveRequest> = {},
): MoveRequest {
  const debit = bookOf(accountId, "available");
  const legs = [{ debit, credit: to, asset: "CREDIT", micros }] as const;
  return { id: newId("tfr"), kind: "test", reason: null, legs, ...changes };
}

function pendOf(changes: Partial<PendRequest> = {}): PendRequest {
  return {
    id: newId("tfr"),
    kind: "withdrawal",
    reason: null,
    asset: "CREDIT",
    micros: 600n,
    from: "available",
    credit: systemBooks.payouts,
    expiresMs: null,
    ...changes,
  };
}

async function inLedger({ accountId }: Consumer, bucket: Bucket, asset = "CREDIT") {
  await using db = openDatabase();
  return balanceOf(db, bookOf(accountId, bucket), asset);
}

describe("a move", () => {
  test("reaches the other account and the ledger, once, however often it is asked for", async () => {
    const [giver, taker] = [await newFunded(1_000), await newFunded(10)];
    const move = moveOf(giver, bookOf(taker.accountId, "available"), 400n);
    for (let again = 0; again < 3; again++) {
      expect(await objectOf(giver).move(move)).toEqual({ kind: "moved" });
    }
    await evictDurableObject(objectOf(giver));
    expect(await objectOf(giver).move(move)).toEqual({ kind: "moved" });
    expect((await untilSettled(giver)).available).toBe(600n);
    await until("the other account has it", async () => {
      return (await summaryOf(taker)).available === 410n;
    });
    await untilSettled(taker);
    expect(await inLedger(giver, "available")).toBe(600n);
    expect(await inLedger(taker, "available")).toBe(410n);
    expect(await ledgerSum()).toBe(0n);
  });

  test("of other contents under its id is a conflict, and of too much is refused whole", async () => {
    const giver = await newFunded(1_000);
    const move = moveOf(giver, bookOf(giver.accountId, "stake"), 400n);
    await objectOf(giver).move(move);
    const other = { ...move, legs: move.legs.map((leg) => ({ ...leg, micros: 399n })) };
    expect(await objectOf(giver).move(other)).toMatchObject({ code: "idempotency_conflict" });
    const legs = [...move.legs, ...move.legs];
    const refused = await objectOf(giver).move({ ...move, id: newId("tfr"), legs });
    expect(refused).toMatchObject({ kind: "refused", code: "insufficient_quota" });
    const summary = await untilSettled(giver);
    expect(summary.buckets).toEqual([
      { asset: "CREDIT", bucket: "available", micros: 600n },
      { asset: "CREDIT", bucket: "stake", micros: 400n },
    ]);
  });

  test("that was refused may be asked for again under its id", async () => {
    const giver = await newFunded(100);
    const move = moveOf(giver, bookOf(giver.accountId, "stake"), 400n);
    expect(await objectOf(giver).move(move)).toMatchObject({ code: "insufficient_quota" });
    await objectOf(giver).mint({ id: newId("tfr"), micros: 300n });
    expect(await objectOf(giver).move(move)).toEqual({ kind: "moved" });
  });

  test("of a token is kept apart from credit, also by an account that was evicted", async () => {
    const holder = await newFunded(5);
    const credit = bookOf(holder.accountId, "stake");
    const legs = [{ debit: systemBooks.mint, credit, asset: "OCTO-W", micros: 77n }] as const;
    await objectOf(holder).move({ id: newId("tfr"), kind: "mint", reason: "genesis", legs });
    await untilSettled(holder);
    await evictDurableObject(objectOf(holder));
    expect((await summaryOf(holder)).buckets).toEqual([
      { asset: "CREDIT", bucket: "available", micros: 5n },
      { asset: "OCTO-W", bucket: "stake", micros: 77n },
    ]);
    expect(await inLedger(holder, "stake", "OCTO-W")).toBe(77n);
    expect(await ledgerSum()).toBe(0n);
  });

  test("to an account that nobody has opened waits for it there, and holds nothing up", async () => {
    const giver = await newFunded(1_000);
    const accountId = newId("acct");
    await objectOf(giver).move(moveOf(giver, bookOf(accountId, "available"), 40n));
    await untilSettled(giver);
    await objectOf({ accountId }).open({ accountId, status: "active", concurrencyMax: 1 });
    expect(await objectOf({ accountId }).summary()).toMatchObject({ accountId, available: 40n });
  });
});

describe("what is pending", () => {
  test("is posted in part, and the rest returns; both are in the ledger", async () => {
    const consumer = await newFunded(1_000);
    const pend = pendOf();
    expect(await objectOf(consumer).pend(pend)).toMatchObject({
      kind: "pending",
      pending: { ...pend, state: "pending", posted: 0n },
    });
    expect(await summaryOf(consumer)).toMatchObject({ available: 400n, pending: 600n, held: 0n });
    await evictDurableObject(objectOf(consumer));
    const posted = await objectOf(consumer).post({ id: pend.id, micros: 250n });
    expect(posted).toMatchObject({ kind: "posted", pending: { state: "posted", posted: 250n } });
    expect(await objectOf(consumer).post({ id: pend.id, micros: 250n })).toEqual(posted);
    expect(await objectOf(consumer).void(pend.id)).toMatchObject({ code: "conflict" });
    await untilSettled(consumer);
    expect(await inLedger(consumer, "available")).toBe(750n);
    expect(await inLedger(consumer, "held")).toBe(0n);
    expect(await ledgerSum()).toBe(0n);
  });

  test("is void once, and what was never pending is not found", async () => {
    const consumer = await newFunded(1_000);
    const pend = pendOf();
    expect(await objectOf(consumer).void(pend.id)).toMatchObject({ code: "not_found" });
    await objectOf(consumer).pend(pend);
    for (let again = 0; again < 2; again++) {
      expect(await objectOf(consumer).void(pend.id)).toMatchObject({ kind: "void" });
    }
    expect(await objectOf(consumer).pend(pend)).toMatchObject({ pending: { state: "void" } });
    const other = { ...pend, micros: 1n };
    expect(await objectOf(consumer).pend(other)).toMatchObject({ code: "idempotency_conflict" });
    expect(await summaryOf(consumer)).toMatchObject({ available: 1_000n, pending: 0n });
  });

  test("returns by alarm when its time is over, though its object was evicted", async () => {
    const consumer = await newFunded(1_000);
    await untilSettled(consumer);
    const pend = pendOf({ expiresMs: Date.now() + 1_000 });
    await objectOf(consumer).pend(pend);
    await untilSettled(consumer);
    const alarmMs = await runInDurableObject(objectOf(consumer), (_, { storage }) =>
      storage.getAlarm(),
    );
    expect(alarmMs).toBe(pend.expiresMs);
    await evictDurableObject(objectOf(consumer));
    // Read from the ledger, so that nothing but the alarm wakes the account.
    await until("it has returned", async () => (await inLedger(consumer, "held")) === 0n);
    expect(await inLedger(consumer, "available")).toBe(1_000n);
    expect(await objectOf(consumer).post({ id: pend.id, micros: null })).toMatchObject({
      code: "conflict",
    });
  });
});

describe("what workers earn", () => {
  test("is spent at once, and what is short comes from it in the same breath", async () => {
    const [consumer, earner] = [await newFunded(10_000), await newFunded(100)];
    await objectOf(consumer).close([postOf(termsFor(consumer), earner.accountId, 1_000)]);
    await until("the earner has its part", async () => {
      return (await summaryOf(earner)).earned === 700n;
    });
    expect(await summaryOf(earner)).toMatchObject({ balance: 800n, available: 100n });
    const terms = termsFor(earner, { limit: "800" });
    expect(await objectOf(earner).hold(terms)).toMatchObject({ kind: "held" });
    expect(await objectOf(earner).move(moveOf(earner, systemBooks.burn, 1n))).toMatchObject({
      code: "insufficient_quota",
    });
    await objectOf(earner).close([postOf(terms, consumer.accountId, 350)]);
    const summary = await untilSettled(earner);
    expect(summary).toMatchObject({ balance: 450n, available: 0n, earned: 450n });
    expect(await inLedger(earner, "available")).toBe(0n);
    expect(await inLedger(earner, "earned")).toBe(450n);
    expect(await ledgerSum()).toBe(0n);
  });

  test("is available once its window has passed, and can be promised then", async () => {
    const earner = await newFunded(100);
    await untilSettled(earner);
    // What was earned before there were windows has none.
    await runInDurableObject(objectOf(earner), (_, { storage }) => {
      storage.sql.exec("UPDATE account SET earned = 700");
    });
    await evictDurableObject(objectOf(earner));
    const pend = pendOf({ micros: 750n });
    expect(await objectOf(earner).pend(pend)).toMatchObject({ kind: "pending" });
    expect(await summaryOf(earner)).toMatchObject({ available: 50n, earned: 0n, pending: 750n });
  });

  test("of a day ahead has an alarm, and an alarm before that releases nothing", async () => {
    const [consumer, earner] = [await newFunded(10_000), await newFunded(100)];
    await untilSettled(earner);
    // What its timer has done is looked after by an alarm; that one is over.
    await runDurableObjectAlarm(objectOf(earner));
    await objectOf(consumer).close([postOf(termsFor(consumer), earner.accountId, 1_000)]);
    await untilSettled(consumer);
    const day = 24 * 3_600_000;
    const alarmMs = await runInDurableObject(objectOf(earner), (_, { storage }) =>
      storage.getAlarm(),
    );
    expect(alarmMs).toBeGreaterThan(Date.now() + day - 60_000);
    expect(alarmMs).toBeLessThanOrEqual(Date.now() + day + 600_000);
    await runDurableObjectAlarm(objectOf(earner));
    expect(await summaryOf(earner)).toMatchObject({ available: 100n, earned: 700n });
    const again = await runInDurableObject(objectOf(earner), (_, { storage }) =>
      storage.getAlarm(),
    );
    expect(again).toBe(alarmMs);
  });
});

function codeOf(answer: { readonly kind: string; readonly code?: string }): string {
  return answer.code ?? answer.kind;
}

describe("the last credit", () => {
  test("that two buyers want is sold to exactly one, 99 times", async () => {
    const consumer = await newFunded(50);
    const account = objectOf(consumer);
    const buy = {
      // A task's hold is released by voiding the task, a promise by voiding the promise.
      async task() {
        const terms = termsFor(consumer, { limit: "50" });
        const held = await account.hold(terms);
        return held.kind === "held" ? () => account.close([voidOf(terms)]) : codeOf(held);
      },
      async promise() {
        const pend = pendOf({ micros: 50n });
        const pended = await account.pend(pend);
        return pended.kind === "pending" ? () => account.void(pend.id) : pended.code;
      },
    };
    const pairs = [
      [buy.task, buy.task],
      [buy.promise, buy.promise],
      [buy.task, buy.promise],
    ] as const;
    for (let round = 0; round < 99; round++) {
      const [first, second] = pairs[round % 3] ?? pairs[0];
      const results = await Promise.all([first(), second()]);
      const [giveBack, ...others] = results.filter((result) => typeof result !== "string");
      expect(others).toEqual([]);
      expect(results).toContain("insufficient_quota");
      await giveBack?.();
    }
    expect(await untilSettled(consumer)).toMatchObject({ available: 50n, pending: 0n, held: 0n });
    expect(await inLedger(consumer, "available")).toBe(50n);
  });
});

test("an account of before there were journals and windows keeps its credit and begins them", async () => {
  const consumer = await newFunded(900);
  const before = await untilSettled(consumer);
  expect(before.journal.seq).toBe(1);
  await runInDurableObject(objectOf(consumer), (_, { storage }) => {
    storage.sql.exec(`
      CREATE TABLE old AS SELECT id, account_id, status, balance, earned, concurrency_max
        FROM account;
      DROP TABLE account;
      CREATE TABLE account (
        id INTEGER PRIMARY KEY CHECK (id = 1), account_id TEXT NOT NULL, status TEXT NOT NULL,
        balance INTEGER NOT NULL, earned INTEGER NOT NULL, concurrency_max INTEGER NOT NULL);
      INSERT INTO account SELECT * FROM old;
      DROP TABLE old; DROP TABLE buckets; DROP TABLE lots; DROP TABLE moves; DROP TABLE pendings;
    `);
  });
  await evictDurableObject(objectOf(consumer));
  const after = await summaryOf(consumer);
  expect(after).toEqual({ ...before, journal: { seq: 0, hash: "" } });
});
