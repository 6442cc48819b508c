import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { exportTransfers } from "../../../edge/db/ledger/ledger-export.ts";
import { databaseOf } from "../../../edge/database.ts";
import { lastRow, type Transfer } from "../../../edge/db/ledger/ledger.ts";
import { recordToJson } from "../../../edge/statements/ledger-record.ts";
import { auditLedger } from "../../../shared/audit.ts";
import { bookOf, systemBooks } from "../../../shared/assets.ts";
import { journalHash, verifyJournal } from "../../../shared/journal.ts";
import type { LedgerBalance } from "../../../shared/ledger-record.ts";
import { until } from "../../helpers/until.ts";
import { postOf, termsFor } from "./closings.ts";
import { env, openDatabase } from "../routes/edge-client.ts";
import { type Trouble, TroubledDatabase } from "./troubled-database.ts";
import { costMicros, funds, newScene, objectOf, settleOne } from "./outbox-scene.ts";
import { type Consumer, summaryOf } from "../world.ts";

/*
 * The outbox against databases that fail in every way they can, while tasks go on being settled.
 * An account asks again five seconds after a failure; here its alarm goes off at once each time.
 */

/** Settles a task and lets the alarm ask the database, until all its troubles have come. */
async function settleThrough(
  database: TroubledDatabase,
  consumer: Consumer,
  provider: Consumer,
): Promise<number> {
  let settled = 0;
  await until("the database is well again", async () => {
    await settleOne(consumer, provider);
    settled += 1;
    await runDurableObjectAlarm(objectOf(consumer));
    return database.left === 0;
  });
  return settled;
}

/** Hands over what is left, as the alarm does some seconds later. */
async function handOver(consumer: Consumer): Promise<void> {
  await until("the outbox is empty", async () => {
    await runDurableObjectAlarm(objectOf(consumer));
    return (await summaryOf(consumer)).outboxEmpty;
  });
}

/** Every transfer in the journals of these accounts, as the ledger has them. */
async function transfersOf(accounts: readonly Consumer[]): Promise<Transfer[]> {
  const sources = new Set(accounts.map(({ accountId }) => accountId));
  const found: Transfer[] = [];
  await using db = openDatabase();
  for (let cursor: string | null | undefined; cursor !== null;) {
    const page = await exportTransfers(db, { limit: 1_000, cursor });
    found.push(...page.items.filter(({ source }) => sources.has(source)));
    cursor = page.next;
  }
  return found;
}

type Scene = Awaited<ReturnType<typeof newScene>>;

/** The books as they must be after so many tasks of each consumer, computed from nothing else. */
function booksAfter({ consumers, provider }: Scene, tasks: readonly number[]): LedgerBalance[] {
  const all = tasks.reduce((sum, count) => sum + count, 0);
  const book = (name: string, micros: number) => {
    return { book: name, asset: "CREDIT", balance: String(micros) };
  };
  return [
    ...consumers.map(({ accountId }, at) =>
      book(bookOf(accountId, "available"), Number(funds) - costMicros * (tasks[at] ?? 0)),
    ),
    book(bookOf(provider.accountId, "available"), 1),
    book(bookOf(provider.accountId, "earned"), 70 * all),
    book(systemBooks.orchestrator, 10 * all),
    book(systemBooks.treasury, 10 * all),
    book(systemBooks.burn, 5 * all),
    book(systemBooks.stakers, 5 * all),
    book(systemBooks.mint, -(2 * Number(funds) + 1)),
  ];
}

/** Each transfer is in the ledger once, its journals are whole, and all of it adds up. */
async function expectExact(scene: Scene, tasks: readonly number[]): Promise<void> {
  const accounts = [...scene.consumers, scene.provider];
  const summaries = await Promise.all(accounts.map((account) => summaryOf(account)));
  const rows = await transfersOf(accounts);
  const heads = summaries.map(({ accountId, journal }) => ({ source: accountId, ...journal }));
  const claims = { balances: booksAfter(scene, tasks), heads };
  const options = { journalHash, overdraftMaxMicros: 0n };
  const all = tasks.reduce((sum, count) => sum + count, 0);
  const report = await auditLedger(rows.map(recordToJson), claims, options);
  expect(report).toMatchObject({ fault: null, transfers: 5 * all + 3, behind: [], overdrafts: [] });
  for (const { accountId, journal } of summaries) {
    const own = rows.filter(({ source }) => source === accountId);
    expect(verifyJournal(own)).toEqual({ kind: "whole", head: journal });
  }
  expect(summaries.at(-1)).toMatchObject({ earned: BigInt(70 * all), available: 1n });
}

function times(count: number, trouble: Trouble): readonly Trouble[] {
  return Array.from({ length: count }, () => trouble);
}

/** A batch that meets a lock is sent seven times before the account is told. */
const busyTries = 7;

test.each<[string, readonly Trouble[]]>([
  ["away for a minute, which is twelve tries,", times(12, "is away")],
  ["busy for a moment", times(3, "is busy")],
  ["busy until the account gives up, and again,", times(2 * busyTries, "is busy")],
  ["committing without answering, five times over,", times(5, "commits without answering")],
  [
    "all of it in turn",
    [
      "is away",
      "commits without answering",
      ...times(busyTries, "is busy"),
      "commits without answering",
      "is away",
      "is busy",
    ],
  ],
])("a database that is %s loses nothing and doubles nothing", async (_how, troubles) => {
  const scene = await newScene();
  const tasks = await Promise.all(
    scene.consumers.map(async (consumer) => {
      const database = await TroubledDatabase.of(objectOf(consumer), troubles);
      return settleThrough(database, consumer, scene.provider);
    }),
  );
  for (const consumer of scene.consumers) await handOver(consumer);
  await expectExact(scene, tasks);
});

test("a database that is slow holds up no settlement, and takes those that came meanwhile", async () => {
  const scene = await newScene();
  const [consumer, other] = scene.consumers;
  if (consumer === undefined || other === undefined) throw new Error("there are two consumers");
  const database = await TroubledDatabase.of(objectOf(consumer), ["is slow"]);
  await settleOne(consumer, scene.provider);
  await until("the database was asked", () => database.isAsked);
  for (let more = 0; more < 40; more++) await settleOne(consumer, scene.provider);
  await settleOne(other, scene.provider);
  const waiting = await summaryOf(consumer);
  expect(waiting).toMatchObject({ available: funds - 4_100n, held: 0n, outboxEmpty: false });
  await database.answer();
  for (const each of scene.consumers) await handOver(each);
  await expectExact(scene, [41, 1]);
});

test("an account that dies behind a commit it never heard of tells it again, once", async () => {
  const scene = await newScene();
  const tasks: number[] = [];
  for (const consumer of scene.consumers) {
    const troubles = times(2, "commits without answering");
    const database = await TroubledDatabase.of(objectOf(consumer), troubles);
    tasks.push(await settleThrough(database, consumer, scene.provider));
    const died = runInDurableObject(objectOf(consumer), (_, state) => state.abort("it went away"));
    await died.catch(() => "as it should: the call dies with its object");
  }
  for (const consumer of scene.consumers) await handOver(consumer);
  await expectExact(scene, tasks);
});

/** Of a string in the SQLite of a Durable Object (Workers, 2026-11). */
const rowBytesMax = 2_000_000;

test("tasks that are closed together in any number are told in rows that the storage takes", async () => {
  const scene = await newScene();
  const [consumer] = scene.consumers;
  if (consumer === undefined) throw new Error("there is a consumer");
  await TroubledDatabase.of(objectOf(consumer), ["is away"]);
  // As long as an explanation of a route is where many workers were looked at.
  const route = JSON.stringify({ why: "x".repeat(4_000) });
  const closings = Array.from({ length: 900 }, () => {
    const closing = postOf(termsFor(consumer), scene.provider.accountId, costMicros);
    return { ...closing, record: { ...closing.record, route } };
  });
  await objectOf(consumer).close(closings);
  const longest = await runInDurableObject(objectOf(consumer), (_, { storage }) => {
    const sql = "SELECT coalesce(max(length(payload)), 0) AS bytes FROM outbox";
    return storage.sql.exec<{ bytes: number }>(sql).one().bytes;
  });
  expect(longest).toBeLessThan(rowBytesMax);
  await handOver(consumer);
  await expectExact(scene, [900, 0]);
});

describe("a database that takes a batch and never ends its answer is given up", () => {
  /** Ends as a request that is aborted does, and else never. */
  const aborted = (signal?: AbortSignal) =>
    new Promise<never>((_, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason as Error));
    });

  test.each<[string, (signal?: AbortSignal) => Promise<Response>]>([
    ["before its head", aborted],
    [
      "behind its head",
      async (signal) => new Response(new ReadableStream({ pull: () => aborted(signal) })),
    ],
  ])("%s", async (_when, answer) => {
    const binding = {
      fetch: (request: Request, { signal }: { readonly signal?: AbortSignal } = {}) =>
        request.method === "POST" ? answer(signal) : env.LIBSQL?.fetch(request),
    };
    await using db = databaseOf({ ...env, LIBSQL: binding as unknown as Fetcher }, 1);
    await expect(lastRow(db)).rejects.toMatchObject({ code: "unavailable" });
  });
});
