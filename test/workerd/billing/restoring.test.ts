import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { recordToJson } from "../../../edge/statements/ledger-record.ts";
import { auditLedger } from "../../../shared/audit.ts";
import { bookOf } from "../../../shared/assets.ts";
import { journalHash, verifyJournal } from "../../../shared/journal.ts";
import { exportTransfers } from "../../../edge/db/ledger/ledger-export.ts";
import { balances, type Transfer } from "../../../edge/db/ledger/ledger.ts";
import { accountObject } from "../../../edge/objects.ts";
import { until } from "../../helpers/until.ts";
import { termsFor } from "./closings.ts";
import { costMicros, newScene, objectOf, settleOne } from "./outbox-scene.ts";
import { call, env, newConsumer, openDatabase, refusal } from "../routes/edge-client.ts";
import { type Consumer, ledgerSum, newFunded, summaryOf, untilSettled } from "../world.ts";

/*
 * Accounts whose storage is lost, as when a Durable Object's SQLite is deleted, and what brings
 * them back: the ledger knows more than they do.
 */

/** Everything is gone that its object ever stored, and the object with it. */
async function wipe(account: Consumer): Promise<void> {
  const died = runInDurableObject(objectOf(account), async (_, state) => {
    await state.storage.deleteAlarm();
    await state.storage.deleteAll();
    await state.storage.sync();
    state.abort("its storage was lost");
  });
  await died.catch(() => "as it should: the call dies with its object");
}

async function settled(): Promise<{ consumer: Consumer; provider: Consumer }> {
  const { consumers, provider } = await newScene();
  const [consumer] = consumers;
  if (consumer === undefined) throw new Error("there is a consumer");
  for (let task = 0; task < 5; task++) await settleOne(consumer, provider);
  await untilTold(consumer);
  return { consumer, provider };
}

async function untilTold(account: Consumer): Promise<void> {
  await until("the ledger knows all", async () => {
    await runDurableObjectAlarm(objectOf(account));
    const { outboxEmpty, owed } = await summaryOf(account);
    return outboxEmpty && owed.length === 0;
  });
}

const pathOf = ({ accountId }: Consumer) => `/api/v1/ledger/accounts/${accountId}`;

interface Difference {
  readonly id: string;
  readonly differs: boolean;
  readonly obstacles: readonly string[];
  readonly books: readonly { book: string; asset: string; account: string; ledger: string }[];
  readonly journal: Record<"account" | "ledger", { readonly seq: number; readonly hash: string }>;
}

async function differenceOf(account: Consumer): Promise<Difference> {
  const { status, json, text } = await call(`GET ${pathOf(account)}/difference`);
  expect(status, text).toBe(200);
  return json as unknown as Difference;
}

async function restore(account: Consumer, difference: string): Promise<void> {
  const body = { difference, reason: "its storage was lost" };
  const { status, text } = await call(`POST ${pathOf(account)}/restore`, { body });
  expect(status, text).toBe(200);
}

async function allTransfers(): Promise<Transfer[]> {
  const found: Transfer[] = [];
  await using db = openDatabase();
  for (let cursor: string | null | undefined; cursor !== null;) {
    const page = await exportTransfers(db, { limit: 1_000, cursor });
    found.push(...page.items);
    cursor = page.next;
  }
  return found;
}

/** As `octo audit --accounts` does, with the head of one account's journal. */
async function auditOf(account: Consumer) {
  const { json } = await call(`GET ${pathOf(account)}`);
  const { seq, hash } = (json["journal"] ?? { seq: 0, hash: "" }) as { seq: number; hash: string };
  await using db = openDatabase();
  const claims = {
    balances: (await balances(db)).map(({ account: book, asset, balanceMicros }) => {
      return { book, asset, balance: String(balanceMicros) };
    }),
    heads: [{ source: account.accountId, seq, hash }],
  };
  const records = (await allTransfers()).map(recordToJson);
  return auditLedger(records, claims, { journalHash, overdraftMaxMicros: 10n ** 9n });
}

async function expectWhole(account: Consumer): Promise<void> {
  const own = (await allTransfers()).filter(({ source }) => source === account.accountId);
  const { journal } = await summaryOf(account);
  expect(verifyJournal(own)).toEqual({ kind: "whole", head: journal });
  expect(await ledgerSum()).toBe(0n);
}

describe("an account that lost its storage", () => {
  test("is named by an audit, restored from the ledger, and goes on", async () => {
    const { consumer, provider } = await settled();
    const before = await summaryOf(consumer);
    await wipe(consumer);
    const found = await auditOf(consumer);
    const { seq } = before.journal;
    const decided = `of ${consumer.accountId}, which decided only 0`;
    expect(found.fault).toBe(`The ledger has ${seq} transfers ${decided}`);

    const difference = await differenceOf(consumer);
    expect(difference).toMatchObject({ differs: true, obstacles: [] });
    expect(difference.journal).toMatchObject({ account: { seq: 0 }, ledger: before.journal });
    const book = bookOf(consumer.accountId, "available");
    const lost = { book, asset: "CREDIT", account: "0", ledger: String(before.available) };
    expect(difference.books).toContainEqual(lost);

    await restore(consumer, difference.id);
    const after = await summaryOf(consumer);
    expect(after).toMatchObject({ available: before.available, earned: 0n, status: "active" });
    expect(after.journal.seq).toBe(before.journal.seq + 2);
    await untilTold(consumer);
    expect((await auditOf(consumer)).fault).toBeNull();
    expect((await differenceOf(consumer)).differs).toBe(false);

    await settleOne(consumer, provider);
    await untilTold(consumer);
    expect(await summaryOf(consumer)).toMatchObject({
      available: before.available - BigInt(costMicros),
    });
    // The provider had rows of this account's outbox under higher numbers than an empty one gives.
    expect(await summaryOf(provider)).toMatchObject({ earned: BigInt(70 * 6) });
    expect((await auditOf(consumer)).fault).toBeNull();
    await expectWhole(consumer);
    const marks = (await allTransfers()).filter(
      ({ source, kind }) => source === consumer.accountId && kind === "restored",
    );
    expect(marks.map(({ reason }) => reason)).toEqual(
      Array.from({ length: 2 }, () => "its storage was lost"),
    );
    // Its key works again, by what the registry has of it.
    expect((await call("GET /api/v1/account", { key: consumer.key })).status).toBe(200);
  });

  test("decides nothing before it is restored", async () => {
    const { consumer } = await settled();
    await wipe(consumer);
    await differenceOf(consumer);
    const credits = `POST /api/v1/accounts/${consumer.accountId}/credits`;
    expect(await refusal(credits, { body: { amount_micros: 5 } })).toMatchObject({
      status: 503,
      code: "unavailable",
    });
    await objectOf(consumer).setKey(consumer.keyId, "active");
    expect(await objectOf(consumer).hold(termsFor(consumer))).toMatchObject({
      kind: "refused",
      code: "unavailable",
    });
    expect((await summaryOf(consumer)).journal.seq).toBe(0);
  });

  test("that earned has its earnings once, though more came before it was restored", async () => {
    const { consumer, provider } = await settled();
    await wipe(provider);
    await settleOne(consumer, provider);
    await untilTold(consumer);
    expect(await summaryOf(provider)).toMatchObject({ earned: 70n });
    const difference = await differenceOf(provider);
    const book = bookOf(provider.accountId, "earned");
    const lost = { book, asset: "CREDIT", account: "70", ledger: String(70 * 6) };
    expect(difference.books).toContainEqual(lost);
    await restore(provider, difference.id);
    expect(await summaryOf(provider)).toMatchObject({ earned: BigInt(70 * 6), available: 1n });
    await settleOne(consumer, provider);
    await untilTold(consumer);
    await untilTold(provider);
    expect(await summaryOf(provider)).toMatchObject({ earned: BigInt(70 * 7) });
    expect((await differenceOf(provider)).differs).toBe(false);
    await expectWhole(provider);
  });

  test("whose givers owe it something is not restored before they have told it", async () => {
    const { consumer, provider } = await settled();
    await runInDurableObject(objectOf(provider), (object) => {
      Object.defineProperty(object, "earn", { value: undefined, configurable: true });
    });
    await settleOne(consumer, provider);
    await until("it is owed", async () => {
      await runDurableObjectAlarm(objectOf(consumer));
      return (await summaryOf(consumer)).owed.length === 1;
    });
    await wipe(provider);
    const { id, obstacles } = await differenceOf(provider);
    expect(obstacles).toEqual([`${consumer.accountId} owes it what it could not be told yet`]);
    const body = { difference: id, reason: "too early" };
    const refused = await refusal(`POST ${pathOf(provider)}/restore`, { body });
    expect(refused).toMatchObject({ status: 409, code: "conflict" });
    await runInDurableObject(objectOf(consumer), async (_, { storage }) => {
      storage.sql.exec("UPDATE debts SET next_ms = ?", Date.now());
      await storage.setAlarm(Date.now());
    });
    await untilTold(consumer);
    const now = await differenceOf(provider);
    expect(now.obstacles).toEqual([]);
    await restore(provider, now.id);
    expect(await summaryOf(provider)).toMatchObject({ earned: BigInt(70 * 6) });
  });

  test("is not restored from one that lost its own", async () => {
    const { consumer, provider } = await settled();
    await wipe(consumer);
    await wipe(provider);
    const { obstacles } = await differenceOf(provider);
    expect(obstacles).toEqual([
      `${consumer.accountId}, which gave to it, has lost its own books: restore it`,
    ]);
  });

  test("of more than one operator may give is restored by two", async () => {
    const account = await newConsumer();
    const { key } = await newConsumer("operator");
    const mint = { kind: "mint", amount_micros: 1_000_000_000_005, reason: "prepaid" };
    const prepaid = { ...mint, account_id: account.accountId };
    const asked = await call("POST /api/v1/approvals", { body: prepaid });
    await call(`POST /api/v1/approvals/${String(asked.json["id"])}/approve`, { key });
    await untilSettled(account);
    await wipe(account);
    const { id } = await differenceOf(account);
    const body = { difference: id, reason: "its storage was lost" };
    const refused = await refusal(`POST ${pathOf(account)}/restore`, { body });
    expect(refused).toMatchObject({ status: 403, code: "insufficient_scope" });
    const approval = /apr_[0-9A-Za-z]{22}/.exec(refused.message)?.[0] ?? "";
    // Asking again asks for the same.
    const again = await refusal(`POST ${pathOf(account)}/restore`, { body });
    expect(again.message).toBe(refused.message);
    const approve = `POST /api/v1/approvals/${approval}/approve`;
    expect(await refusal(approve)).toMatchObject({ status: 409 });
    expect((await summaryOf(account)).available).toBe(0n);
    const approved = await call(approve, { key });
    expect(approved.json).toMatchObject({ kind: "restore", state: "approved" });
    expect((await summaryOf(account)).available).toBe(1_000_000_000_005n);
    await untilTold(account);
    await expectWhole(account);
  });

  test("is restored once, however often it is asked for", async () => {
    const { consumer } = await settled();
    const before = await summaryOf(consumer);
    await wipe(consumer);
    const { id } = await differenceOf(consumer);
    await Promise.all([restore(consumer, id), restore(consumer, id)]);
    await restore(consumer, id);
    const after = await summaryOf(consumer);
    expect(after).toMatchObject({ available: before.available });
    expect(after.journal.seq).toBe(before.journal.seq + 2);
    await untilTold(consumer);
    await expectWhole(consumer);
  });

  test("gives no credit twice under an id that was used before", async () => {
    const consumer = await newFunded(1_000);
    const route = `POST /api/v1/accounts/${consumer.accountId}/credits`;
    const again = { body: { amount_micros: 77 }, headers: { "idempotency-key": "gift" } };
    await call(route, again);
    await untilSettled(consumer);
    await wipe(consumer);
    await restore(consumer, (await differenceOf(consumer)).id);
    expect((await call(route, again)).status).toBe(201);
    expect(await summaryOf(consumer)).toMatchObject({ available: 1_077n });
    const other = { ...again, body: { amount_micros: 78 } };
    expect((await call(route, other)).status).toBe(409);
  });

  test("gives back what it had promised, by its ids", async () => {
    const account = await newFunded(5_000_000);
    const address = `0x${"7".repeat(40)}`;
    const asked = await call("POST /api/v1/withdrawals", {
      key: account.key,
      body: { amount_micros: 3_000_000, address },
    });
    expect(asked.status, asked.text).toBe(201);
    await untilSettled(account);
    await wipe(account);
    await restore(account, (await differenceOf(account)).id);
    expect(await summaryOf(account)).toMatchObject({ available: 2_000_000n, pending: 3_000_000n });
    const route = `DELETE /api/v1/withdrawals/${String(asked.json["id"])}`;
    expect((await call(route, { key: account.key })).json).toMatchObject({ state: "cancelled" });
    expect(await summaryOf(account)).toMatchObject({ available: 5_000_000n, pending: 0n });
    await untilTold(account);
    await expectWhole(account);
  });

  test("closes no task again that it had closed", async () => {
    const { consumers, provider } = await newScene();
    const [consumer] = consumers;
    if (consumer === undefined) throw new Error("there is a consumer");
    const closing = await settleOne(consumer, provider);
    await untilTold(consumer);
    const before = await summaryOf(consumer);
    await wipe(consumer);
    await restore(consumer, (await differenceOf(consumer)).id);
    await accountObject(env, consumer.accountId).close([closing]);
    await untilTold(consumer);
    expect(await summaryOf(consumer)).toMatchObject({ available: before.available });
    expect(await summaryOf(provider)).toMatchObject({ earned: 70n });
  });
});

describe("an account that is whole", () => {
  test("has no difference, and is not restored", async () => {
    const { consumer, provider } = await settled();
    for (const account of [consumer, provider]) {
      const { id, differs, obstacles } = await differenceOf(account);
      expect({ differs, obstacles }).toEqual({ differs: false, obstacles: [] });
      const body = { difference: id, reason: "for nothing" };
      const refused = await refusal(`POST ${pathOf(account)}/restore`, { body });
      expect(refused).toMatchObject({ status: 409, code: "conflict" });
    }
  });

  test("is not restored by another difference than it has", async () => {
    const { consumer } = await settled();
    await wipe(consumer);
    await differenceOf(consumer);
    const body = { difference: "0".repeat(32), reason: "guessed" };
    const refused = await refusal(`POST ${pathOf(consumer)}/restore`, { body });
    expect(refused).toMatchObject({ status: 409, code: "conflict" });
    expect((await summaryOf(consumer)).journal.seq).toBe(0);
  });
});
