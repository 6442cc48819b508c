import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { expect, test, vi } from "vitest";
import { bookOf } from "../../../shared/assets.ts";
import type { Account } from "../../../edge/billing/account.ts";
import { balanceOf } from "../../helpers/ledger-rows.ts";
import { accountObject } from "../../../edge/objects.ts";
import { until } from "../../helpers/until.ts";
import { postOf, termsFor } from "./closings.ts";
import { costMicros, newScene, objectOf, settleOne } from "./outbox-scene.ts";
import { env, openDatabase } from "../routes/edge-client.ts";
import { type Consumer, newFunded, summaryOf, untilSettled } from "../world.ts";

/*
 * What an account owes to others that cannot be reached. They are told again after seconds and
 * minutes; here as soon as a test says that it is time.
 */

/** Calls find no method: the object cannot be reached, and takes nothing. */
async function loseAccount({ accountId }: Consumer): Promise<void> {
  await runInDurableObject(accountObject(env, accountId), (object) => {
    Object.defineProperty(object, "earn", { value: undefined, configurable: true });
  });
}

test("a provider that is never reached delays what it is given alone, in few rows", async () => {
  const scene = await newScene();
  const [consumer] = scene.consumers;
  if (consumer === undefined) throw new Error("there is a consumer");
  const lost = await newFunded(1);
  await untilSettled(lost);
  await loseAccount(lost);
  // More rows of the outbox than are handed over at once, three times over.
  const rounds = 3;
  const tasksInRound = 70;
  for (let round = 0; round < rounds; round++) {
    for (let task = 0; task < tasksInRound; task++) {
      await settleOne(consumer, task % 2 === 0 ? lost : scene.provider);
    }
    await runDurableObjectAlarm(objectOf(consumer));
  }
  const tasks = rounds * tasksInRound;
  const earned = BigInt(70 * (tasks / 2));
  await until("the other provider has all of its earnings", async () => {
    await runDurableObjectAlarm(objectOf(consumer));
    return (await summaryOf(scene.provider)).earned === earned;
  });
  await using db = openDatabase();
  expect(await balanceOf(db, bookOf(lost.accountId, "earned"))).toBe(earned);
  expect(await summaryOf(lost)).toMatchObject({ earned: 0n });
  const waiting = await summaryOf(consumer);
  expect(waiting).toMatchObject({ outboxEmpty: true, owed: [{ accountId: lost.accountId }] });
  const rows = await runInDurableObject(objectOf(consumer), (_, { storage }) => {
    const count = (table: string) =>
      storage.sql.exec<{ n: number }>(`SELECT count(*) AS n FROM ${table}`).one().n;
    return { outbox: count("outbox"), kept: count("debts_told") + count("debts_untold") };
  });
  // What was told and may have been taken keeps its numbers; what came later is one sum.
  expect(rows.outbox).toBe(0);
  expect(rows.kept).toBeLessThanOrEqual(33);
  await runInDurableObject(objectOf(lost), (object) => Reflect.deleteProperty(object, "earn"));
  await payDebts(consumer);
  expect(await summaryOf(lost)).toMatchObject({ earned });
  expect(await summaryOf(scene.provider)).toMatchObject({ earned });
});

test("a provider that takes what it is told and never answers is paid once", async () => {
  const scene = await newScene();
  const [consumer] = scene.consumers;
  if (consumer === undefined) throw new Error("there is a consumer");
  const lost = await newFunded(1);
  await untilSettled(lost);
  // Three times the answer is lost, behind the transaction of who was told.
  let left = 3;
  await runInDurableObject(objectOf(consumer), (object) => {
    const idFromName = (name: string) => name;
    const get = (name: string) => ({
      async earn(...given: Parameters<Account["earn"]>) {
        await accountObject(env, name).earn(...given);
        if (name !== lost.accountId) return;
        left -= 1;
        if (left >= 0) throw new Error("the answer is lost");
      },
    });
    Object.assign(object, { env: { ...env, ACCOUNT: { idFromName, get } } });
  });
  let tasks = 0;
  await until("all answers were lost", async () => {
    await settleOne(consumer, lost);
    await settleOne(consumer, scene.provider);
    tasks += 1;
    await dueNow(consumer);
    await runDurableObjectAlarm(objectOf(consumer));
    return left <= 0;
  });
  await payDebts(consumer);
  const earned = BigInt(70 * tasks);
  expect(await summaryOf(lost)).toMatchObject({ earned });
  expect(await summaryOf(scene.provider)).toMatchObject({ earned });
});

test("a debt that is ten minutes old is told to the operator's log", async () => {
  const scene = await newScene();
  const [consumer] = scene.consumers;
  if (consumer === undefined) throw new Error("there is a consumer");
  await loseAccount(scene.provider);
  await settleOne(consumer, scene.provider);
  await until("it is owed", async () => {
    await runDurableObjectAlarm(objectOf(consumer));
    return (await summaryOf(consumer)).owed.length === 1;
  });
  const lines: string[] = [];
  const log = vi.spyOn(console, "log").mockImplementation((line: string) => lines.push(line));
  try {
    const sinceMs = Date.now() - 11 * 60_000;
    await dueNow(consumer, sinceMs);
    await until("the log was told", async () => {
      await runDurableObjectAlarm(objectOf(consumer));
      return lines.some((line) => line.includes("has not been given what it is owed"));
    });
  } finally {
    log.mockRestore();
  }
  const alarm = lines.find((line) => line.includes("has not been given what it is owed")) ?? "{}";
  expect(JSON.parse(alarm)).toMatchObject({
    level: "error",
    account: scene.provider.accountId,
    by: consumer.accountId,
    minutes: 11,
  });
  await runInDurableObject(objectOf(scene.provider), (object) =>
    Reflect.deleteProperty(object, "earn"),
  );
  await payDebts(consumer);
});

/** As when the time of the next try has come, of what is owed since `sinceMs`. */
async function dueNow(consumer: Consumer, sinceMs = Date.now()): Promise<void> {
  await runInDurableObject(objectOf(consumer), async (_, { storage }) => {
    storage.sql.exec("UPDATE debts SET next_ms = ?, since_ms = ?", Date.now(), sinceMs);
    await storage.setAlarm(Date.now());
  });
}

async function payDebts(consumer: Consumer): Promise<void> {
  await until("nothing is owed", async () => {
    await dueNow(consumer);
    await runDurableObjectAlarm(objectOf(consumer));
    const { outboxEmpty, owed } = await summaryOf(consumer);
    return outboxEmpty && owed.length === 0;
  });
}

test("a provider is paid once, though told again while another cannot be reached", async () => {
  const scene = await newScene();
  const [consumer] = scene.consumers;
  if (consumer === undefined) throw new Error("there is a consumer");
  const lost = await newFunded(1);
  await untilSettled(lost);
  await loseAccount(lost);
  const paid = [scene.provider, lost];
  await objectOf(consumer).close(
    paid.map(({ accountId }) => postOf(termsFor(consumer), accountId, costMicros)),
  );
  for (let tries = 0; tries < 5; tries++) await runDurableObjectAlarm(objectOf(consumer));
  expect(await summaryOf(scene.provider)).toMatchObject({ earned: 70n });
  expect(await summaryOf(lost)).toMatchObject({ earned: 0n });
  const owed = [{ accountId: lost.accountId }];
  expect(await summaryOf(consumer)).toMatchObject({ outboxEmpty: true, owed });
  await runInDurableObject(objectOf(lost), (object) => Reflect.deleteProperty(object, "earn"));
  await payDebts(consumer);
  for (const account of paid) expect(await summaryOf(account)).toMatchObject({ earned: 70n });
});
