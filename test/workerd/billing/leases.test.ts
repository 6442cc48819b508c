import { runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import type { Account } from "../../../edge/billing/account.ts";
import { type LeaseAsk, leaseMs } from "../../../edge/billing/leases/lease-terms.ts";
import { TicketSeal } from "../../../edge/billing/ticket.ts";
import { configOf } from "../../../edge/env.ts";
import { accountObject } from "../../../edge/objects.ts";
import { newId } from "../../../shared/ids.ts";
import type { FakeWorker } from "../../helpers/fake-worker.ts";
import { until } from "../../helpers/until.ts";
import { call, env } from "../routes/edge-client.ts";
import { postOf, termsFor } from "./closings.ts";
import {
  answering,
  chat,
  type Consumer,
  hasLeased,
  ledgerBalance,
  ledgerSum,
  newFunded,
  newModel,
  serve,
  storedTask,
  summaryOf,
  untilListed,
  untilSettled,
} from "../world.ts";

function objectOf({ accountId }: Consumer): DurableObjectStub<Account> {
  return accountObject(env, accountId);
}

/** What is set aside for leases, and for tasks that hold by themselves, of the account. */
async function aside(consumer: Consumer): Promise<bigint> {
  return (await summaryOf(consumer)).held;
}

async function crash(of: Consumer): Promise<void> {
  const crashed = runInDurableObject(objectOf(of), (_, state) => state.abort("it went away"));
  await crashed.catch(() => "as it should: the call dies with its object");
}

/** A model that is served at once, whoever asks. */
async function served(): Promise<{ readonly model: string; readonly worker: FakeWorker }> {
  const model = newModel();
  const worker = await serve(model, { slots: 64, script: answering("one ", "two") });
  await untilListed(model);
  return { model, worker };
}

/** Asks until the account has given this isolate a lease; gives the tasks. */
async function untilLeased(consumer: Consumer, model: string): Promise<string[]> {
  const tasks: string[] = [];
  await until("the key is busy enough for a lease", async () => {
    const response = await chat(consumer, model);
    expect(response.status).toBe(200);
    await response.text();
    tasks.push(response.headers.get("x-octo-task") ?? "");
    return hasLeased(consumer);
  });
  return tasks;
}

function askOf(consumer: Consumer, limit: bigint): LeaseAsk {
  const { keyId } = consumer;
  return { id: newId("lea"), keyId, limit, tasks: 8, taskLimit: 10n };
}

describe("a busy key", () => {
  test("is served from a lease, and its books agree to the micro", async () => {
    const [consumer, { model, worker }] = [await newFunded(), await served()];
    const tasks = await untilLeased(consumer, model);
    const responses = await Promise.all(Array.from({ length: 12 }, () => chat(consumer, model)));
    for (const response of responses) {
      expect(response.status).toBe(200);
      await response.text();
      tasks.push(response.headers.get("x-octo-task") ?? "");
    }
    const seal = new TicketSeal(configOf(env).ticketSecret);
    const terms = await Promise.all(worker.attempts.map(({ offer }) => seal.open(offer.ticket)));
    expect(terms.map((of) => of?.task).toSorted()).toEqual(tasks.toSorted());
    expect(terms.filter((of) => of?.lease !== undefined).length).toBeGreaterThanOrEqual(8);
    const summary = await untilSettled(consumer);
    const stored = await Promise.all(tasks.map((task) => storedTask(consumer, task)));
    const cost = stored.reduce((sum, { task }) => sum + task.costMicros, 0n);
    expect(cost).toBeGreaterThan(0n);
    expect(summary.balance).toBe(10_000_000n - cost);
    expect(await ledgerBalance(consumer)).toBe(summary.balance);
    expect(await ledgerSum()).toBe(0n);
    expect(await aside(consumer)).toBe(0n);
  });

  test("holds for a task that may outlive its connection: nobody would hear of its end", async () => {
    const [consumer, { model, worker }] = [await newFunded(), await served()];
    await untilLeased(consumer, model);
    const body = { octo: { resume: true } };
    for (let task = 0; task < 3; task++) {
      const response = await chat(consumer, model, { stream: true, body });
      expect(response.status).toBe(200);
      await response.text();
    }
    const seal = new TicketSeal(configOf(env).ticketSecret);
    const last = worker.attempts.slice(-3);
    const terms = await Promise.all(last.map(({ offer }) => seal.open(offer.ticket)));
    expect(terms.map((of) => of?.lease)).toEqual([undefined, undefined, undefined]);
    expect(terms.every((of) => of !== null)).toBe(true);
  });

  test("is refused from when its revoking has returned, leased or not", async () => {
    const [consumer, { model }] = [await newFunded(), await served()];
    await untilLeased(consumer, model);
    // Not by the route: this isolate would forget the key, and others would not.
    const revoked = objectOf(consumer).setKey(consumer.keyId, "revoked");
    const meanwhile = await chat(consumer, model);
    expect(meanwhile.status).toBe(200);
    await meanwhile.text();
    await revoked;
    expect((await chat(consumer, model)).status).toBe(401);
  });

  test("is refused from when its account's suspending has returned", async () => {
    const [consumer, { model }] = [await newFunded(), await served()];
    await untilLeased(consumer, model);
    const path = `PATCH /api/v1/accounts/${consumer.accountId}`;
    expect((await call(path, { body: { status: "suspended" } })).status).toBe(200);
    expect((await chat(consumer, model)).status).toBe(403);
  });

  test("with little credit holds for every task, and is refused at the last micro", async () => {
    const [consumer, { model }] = [await newFunded(4_000), await served()];
    for (let task = 0; task < 8; task++) await (await chat(consumer, model)).text();
    expect(await hasLeased(consumer)).toBe(false);
    expect((await untilSettled(consumer)).balance).toBeLessThan(4_000n);
  });
});

describe("an account that crashes", () => {
  test("forgets its leases, and takes what comes of them", async () => {
    const consumer = await newFunded(80_000);
    const ask = askOf(consumer, 10_000n);
    expect(await objectOf(consumer).lease(ask)).toEqual({ limit: 10_000n, tasksMax: 8 });
    expect(await aside(consumer)).toBe(10_000n);
    await crash(consumer);
    expect(await aside(consumer)).toBe(0n);
    await objectOf(consumer).returnLeases([{ id: ask.id, micros: 300n, tasks: 2, running: 2 }]);
    expect(await aside(consumer)).toBe(0n);
    const closing = postOf(termsFor(consumer, { lease: ask.id }), newId("acct"), 5);
    expect(await objectOf(consumer).close([closing])).toEqual([]);
    expect((await summaryOf(consumer)).balance).toBe(80_000n - 5n);
  });

  test("still waits for its leases before a key counts as revoked", async () => {
    const consumer = await newFunded(80_000);
    const startMs = Date.now();
    await objectOf(consumer).lease(askOf(consumer, 10_000n));
    await crash(consumer);
    await objectOf(consumer).setKey(consumer.keyId, "revoked");
    expect(Date.now() - startMs).toBeGreaterThanOrEqual(leaseMs);
    expect(await objectOf(consumer).lease(askOf(consumer, 10_000n))).toBeNull();
  });
});

test("an account that was never opened leases nothing", async () => {
  const nobody = { accountId: newId("acct"), keyId: "key_1", key: "" };
  expect(await objectOf(nobody).lease(askOf(nobody, 10n))).toBeNull();
  await objectOf(nobody).returnLeases([{ id: "lea_1", micros: 0n, tasks: 0, running: 0 }]);
});
