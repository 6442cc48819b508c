import {
  abortAllDurableObjects,
  evictDurableObject,
  runDurableObjectAlarm,
  runInDurableObject,
} from "cloudflare:test";
import { describe, expect, test } from "vitest";
import type { Account } from "../../../edge/billing/account.ts";
import { balanceOf } from "../../helpers/ledger-rows.ts";
import type { Env } from "../../../edge/env.ts";
import { accountObject } from "../../../edge/objects.ts";
import { newId } from "../../../shared/ids.ts";
import { until } from "../../helpers/until.ts";
import { postOf, termsFor, voidOf } from "./closings.ts";
import { env, openDatabase } from "../routes/edge-client.ts";
import {
  type Consumer,
  ledgerBalance,
  ledgerSum,
  newFunded,
  storedTask,
  summaryOf,
  untilSettled,
} from "../world.ts";

/**
 * The object loses its memory. One that holds something there keeps itself awake, so it is never
 * evicted meanwhile, but it may crash.
 */
const lossesOfMemory = [
  ["crashed", crash],
  ["aborted", () => abortAllDurableObjects()],
] as const;

async function crash(of: Consumer): Promise<void> {
  const crashed = runInDurableObject(objectOf(of), (_, state) => state.abort("it went away"));
  await crashed.catch(() => "as it should: the call dies with its object");
}

function objectOf({ accountId }: Consumer): DurableObjectStub<Account> {
  return accountObject(env, accountId);
}

async function provider(): Promise<Consumer> {
  return newFunded(1);
}

test("an account that is evicted keeps its balance and its keys", async () => {
  const consumer = await newFunded(5_000);
  await untilSettled(consumer);
  await evictDurableObject(objectOf(consumer));
  expect(await summaryOf(consumer)).toMatchObject({ balance: 5_000n, held: 0n });
  expect(await objectOf(consumer).useKey(consumer.keyId, 0)).toEqual({ kind: "current" });
});

describe.each(lossesOfMemory)("an account that is %s", (_how, loseMemory) => {
  test("keeps its name, its balance, its keys and what it was told of them", async () => {
    const consumer = await newFunded(5_000);
    await objectOf(consumer).setKey("revokedk", "revoked");
    await untilSettled(consumer);
    await loseMemory(consumer);
    expect(await summaryOf(consumer)).toMatchObject({
      accountId: consumer.accountId,
      status: "active",
      balance: 5_000n,
      held: 0n,
      concurrencyMax: 128,
    });
    expect(await objectOf(consumer).useKey(consumer.keyId, 0)).toEqual({ kind: "current" });
    expect(await objectOf(consumer).useKey("revokedk", 0)).toEqual({ kind: "ended" });
    const name = await runInDurableObject(objectOf(consumer), (_, { id }) => id.name);
    expect(name).toBe(consumer.accountId);
  });

  test("forgets what it held, and still honours the post that comes late", async () => {
    const [consumer, earner] = [await newFunded(1_000), await provider()];
    const terms = termsFor(consumer);
    expect(await objectOf(consumer).hold(terms)).toMatchObject({ kind: "held" });
    expect((await summaryOf(consumer)).held).toBe(1_000n);
    await loseMemory(consumer);
    expect((await summaryOf(consumer)).held).toBe(0n);
    await objectOf(consumer).close([postOf(terms, earner.accountId, 100)]);
    expect(await summaryOf(consumer)).toMatchObject({ balance: 900n, held: 0n });
  });

  test("may go below zero by what was in flight, and by no more", async () => {
    const [consumer, earner] = [await newFunded(1_000), await provider()];
    const [forgotten, next] = [termsFor(consumer), termsFor(consumer)];
    await objectOf(consumer).hold(forgotten);
    await loseMemory(consumer);
    expect(await objectOf(consumer).hold(next)).toMatchObject({ kind: "held" });
    const posts = [forgotten, next].map((terms) => postOf(terms, earner.accountId, 5_000));
    await objectOf(consumer).close(posts);
    expect((await summaryOf(consumer)).balance).toBe(-1_000n);
    const refused = await objectOf(consumer).hold(termsFor(consumer, { limit: "1" }));
    expect(refused).toMatchObject({ kind: "refused", code: "insufficient_quota" });
  });

  test("closes a task once, whoever says so and however often", async () => {
    const [consumer, earner] = [await newFunded(1_000), await provider()];
    const terms = termsFor(consumer);
    await objectOf(consumer).hold(terms);
    const post = postOf(terms, earner.accountId, 100);
    await objectOf(consumer).close([post, post]);
    await objectOf(consumer).close([post]);
    await loseMemory(consumer);
    await objectOf(consumer).close([post]);
    await objectOf(consumer).close([voidOf(terms)]);
    const summary = await untilSettled(consumer);
    expect(summary.balance).toBe(900n);
    await storedTask(consumer, terms.task);
    expect(await ledgerBalance(consumer)).toBe(900n);
    await until("the provider has its part", async () => {
      return (await summaryOf(earner)).earned === 70n;
    });
    expect(await ledgerSum()).toBe(0n);
  });

  test("a task that was voided stays void", async () => {
    const [consumer, earner] = [await newFunded(1_000), await provider()];
    const terms = termsFor(consumer);
    await objectOf(consumer).close([voidOf(terms)]);
    await loseMemory(consumer);
    await objectOf(consumer).close([postOf(terms, earner.accountId, 100)]);
    expect((await untilSettled(consumer)).balance).toBe(1_000n);
  });

  test("still has in its outbox what the ledger had not taken, and hands it over", async () => {
    const [consumer, earner] = [await newFunded(1_000), await provider()];
    await untilSettled(consumer);
    const terms = termsFor(consumer);
    await objectOf(consumer).close([postOf(terms, earner.accountId, 100)]);
    // As after a crash between the write and the alarm that follows it.
    await runInDurableObject(objectOf(consumer), (_, { storage }) => storage.deleteAlarm());
    expect((await summaryOf(consumer)).outboxEmpty).toBe(false);
    await loseMemory(consumer);
    await untilSettled(consumer);
    expect((await storedTask(consumer, terms.task)).task.costMicros).toBe(100n);
    expect(await ledgerBalance(consumer)).toBe(900n);
  });

  test("repeats the answers it was given to keep", async () => {
    const consumer = await newFunded();
    const by = { keyId: consumer.keyId, changes: 0 };
    const key = newId("req");
    expect(await objectOf(consumer).claimReply(key, "h1", by)).toEqual({ kind: "claimed" });
    await objectOf(consumer).finishReply(key, "h1", "the answer");
    await loseMemory(consumer);
    const again = await objectOf(consumer).claimReply(key, "h1", by);
    expect(again).toEqual({ kind: "answered", reply: "the answer" });
    expect(await objectOf(consumer).claimReply(key, "h2", by)).toEqual({ kind: "mismatch" });
  });

  test("keeps an answer that was claimed before and finished after", async () => {
    const consumer = await newFunded();
    const by = { keyId: consumer.keyId, changes: 0 };
    const key = newId("req");
    await objectOf(consumer).claimReply(key, "h1", by);
    await loseMemory(consumer);
    await objectOf(consumer).finishReply(key, "h1", "the answer");
    const again = await objectOf(consumer).claimReply(key, "h1", by);
    expect(again).toEqual({ kind: "answered", reply: "the answer" });
  });
});

describe("an idempotency key", () => {
  test("is running until it is finished, and free again where there is nothing to keep", async () => {
    const consumer = await newFunded();
    const account = objectOf(consumer);
    const by = { keyId: consumer.keyId, changes: 0 };
    const key = newId("req");
    expect(await account.claimReply(key, "h1", by)).toEqual({ kind: "claimed" });
    expect(await account.claimReply(key, "h1", by)).toEqual({ kind: "running" });
    expect(await account.claimReply(key, "h2", by)).toEqual({ kind: "mismatch" });
    await account.finishReply(key, "h2", "not mine");
    expect(await account.claimReply(key, "h1", by)).toEqual({ kind: "running" });
    await account.finishReply(key, "h1", null);
    expect(await account.claimReply(key, "h2", by)).toEqual({ kind: "claimed" });
  });
});

describe("the outbox", () => {
  /** Until the object loses its memory, its database is down. */
  async function cutOff(consumer: Consumer): Promise<void> {
    const down = { fetch: () => Promise.reject(new Error("the database is down")) };
    await runInDurableObject(objectOf(consumer), (account) => {
      const cut: Env = { ...env, LIBSQL: down as unknown as Fetcher };
      Object.assign(account, { env: cut });
    });
  }

  test("waits for a database that is down, and loses nothing", async () => {
    const [consumer, earner] = [await newFunded(1_000), await provider()];
    await untilSettled(consumer);
    await cutOff(consumer);
    const terms = [termsFor(consumer), termsFor(consumer)];
    for (const of of terms) await objectOf(consumer).close([postOf(of, earner.accountId, 100)]);
    await runDurableObjectAlarm(objectOf(consumer));
    await runDurableObjectAlarm(objectOf(consumer));
    expect(await summaryOf(consumer)).toMatchObject({ balance: 800n, outboxEmpty: false });
    const alarmMs = await runInDurableObject(objectOf(consumer), (_, { storage }) =>
      storage.getAlarm(),
    );
    expect(alarmMs).toBeGreaterThan(Date.now());

    await evictDurableObject(objectOf(consumer));
    await runDurableObjectAlarm(objectOf(consumer));
    await untilSettled(consumer);
    for (const of of terms) await storedTask(consumer, of.task);
    expect(await ledgerBalance(consumer)).toBe(800n);
    expect(await ledgerSum()).toBe(0n);
  });

  test("an alarm on an account with nothing to say does nothing, and is the last", async () => {
    const consumer = await newFunded();
    const before = await untilSettled(consumer);
    await runDurableObjectAlarm(objectOf(consumer));
    expect(await runDurableObjectAlarm(objectOf(consumer))).toBe(false);
    expect(await summaryOf(consumer)).toEqual(before);
  });

  test("is handed over by an alarm where a lost object's timer would have", async () => {
    const [consumer, earner] = [await newFunded(1_000), await provider()];
    await untilSettled(consumer);
    await runDurableObjectAlarm(objectOf(consumer));
    const terms = termsFor(consumer);
    await objectOf(consumer).close([postOf(terms, earner.accountId, 100)]);
    await crash(consumer);
    expect(await runDurableObjectAlarm(objectOf(consumer))).toBe(true);
    expect((await storedTask(consumer, terms.task)).task.costMicros).toBe(100n);
  });

  test("many tasks at once add up: here, in the ledger, and with the provider", async () => {
    const [consumer, earner] = [await newFunded(100_000), await provider()];
    const posts = Array.from({ length: 150 }, (_, at) =>
      postOf(termsFor(consumer), earner.accountId, at),
    );
    for (let at = 0; at < posts.length; at += 3) {
      await objectOf(consumer).close(posts.slice(at, at + 3));
    }
    const summary = await untilSettled(consumer);
    const cost = posts.reduce((sum, _, at) => sum + at, 0);
    expect(summary.balance).toBe(100_000n - BigInt(cost));
    expect(await ledgerBalance(consumer)).toBe(summary.balance);
    await using db = openDatabase();
    const earned = await balanceOf(db, `${earner.accountId}:earned`);
    expect((await summaryOf(earner)).earned).toBe(earned);
    expect(await ledgerSum()).toBe(0n);
  });

  test("a task of another account is nobody's to close here", async () => {
    const [consumer, other] = [await newFunded(), await newFunded()];
    const terms = termsFor(other);
    const closed = runInDurableObject(objectOf(consumer), (account) =>
      account.close([voidOf(terms)]),
    );
    await expect(closed).rejects.toThrow("a closing goes to its own account");
    expect((await summaryOf(consumer)).balance).toBe(10_000_000n);
  });
});
