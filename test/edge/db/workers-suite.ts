import { expect, test } from "vitest";
import type { Database } from "../../../edge/db/database.ts";
import { searchListings } from "../../../edge/db/network/listings.ts";
import { findOwnHubs } from "../../../edge/db/network/own-hubs.ts";
import {
  findWorker,
  listWorkers,
  markWorkersOffline,
  recordWorkers,
} from "../../../edge/db/network/workers.ts";
import { allPages } from "./all-pages.ts";
import { sampleListing, sampleReport } from "./samples.ts";
import type { MakeDatabase } from "./worlds.ts";

export function describeWorkers(makeDatabase: MakeDatabase): void {
  describeReports(makeDatabase);
  describeLateReports(makeDatabase);
  describeEnds(makeDatabase);
  describeOwnHubs(makeDatabase);
}

function describeOwnHubs(makeDatabase: MakeDatabase): void {
  test("the hubs of an account's own workers with a model are found by name and by digest", async () => {
    await using db = await makeDatabase();
    const [tiny, fine] = [sampleListing({ model: "tiny" }), sampleListing({ model: "fine" })];
    const coarse = { ...tiny, digest: "c".repeat(64) };
    await recordWorkers(db, [
      sampleReport({ id: "one", hub: "weur:1", listings: [tiny, fine] }),
      sampleReport({ id: "two", hub: "weur:1", listings: [tiny] }),
      sampleReport({ id: "three", hub: "enam:7", listings: [coarse] }),
      sampleReport({ id: "gone", hub: "apac:1", listings: [tiny] }),
      sampleReport({ id: "theirs", hub: "oc:2", accountId: "acct_mary", listings: [tiny, fine] }),
    ]);
    await markWorkersOffline(db, [{ id: "gone", sessionEpoch: 1, atMs: 6_000 }]);
    const hubs = async (model: string, digest: string | null = null, accountId = "acct_paul") =>
      (await findOwnHubs(db, { accountId, model, digest })).toSorted();
    expect(await hubs("tiny")).toEqual(["enam:7", "weur:1"]);
    expect(await hubs("fine")).toEqual(["weur:1"]);
    expect(await hubs(`sha256:${coarse.digest}`, coarse.digest)).toEqual(["enam:7"]);
    expect(await hubs("fine", null, "acct_mary")).toEqual(["oc:2"]);
    expect(await hubs("tiny", null, "acct_nobody")).toEqual([]);
    // A listing that was withdrawn is nobody's to ask for.
    await recordWorkers(db, [
      sampleReport({ id: "one", hub: "weur:1", atMs: 7_000, listings: [tiny] }),
    ]);
    expect(await hubs("fine")).toEqual([]);
  });
}

/** Which models are listed, and whether online, by name. */
async function offers(db: Database): Promise<Record<string, boolean>> {
  const { items } = await searchListings(db, { onlineOnly: false, limit: 100 });
  return Object.fromEntries(items.map((listing) => [listing.model, listing.online]));
}

function describeReports(makeDatabase: MakeDatabase): void {
  test("a reported worker is online and keeps the time it was first seen", async () => {
    await using db = await makeDatabase();
    await recordWorkers(db, []);
    await recordWorkers(db, [sampleReport()]);
    await recordWorkers(db, [sampleReport({ atMs: 6_000, hub: "weur:1", sessionEpoch: 2 })]);
    expect(await findWorker(db, "worker-one")).toEqual({
      id: "worker-one",
      accountId: "acct_paul",
      region: "weur",
      agentVersion: "0.1.0",
      hub: "weur:1",
      online: true,
      sessionEpoch: 2,
      firstSeenAt: 5_000,
      lastSeenAt: 6_000,
      hardware: null,
      tier: null,
    });
    expect(await findWorker(db, "worker-two")).toBeNull();
  });

  test("a report's listings replace the worker's and leave other workers' alone", async () => {
    await using db = await makeDatabase();
    const listing = (model: string) => sampleListing({ model });
    await recordWorkers(db, [
      sampleReport({ listings: [listing("a"), listing("b")] }),
      sampleReport({ id: "worker-two", listings: [listing("c")] }),
    ]);
    const before = await searchListings(db, { model: "b", onlineOnly: true, limit: 1 });
    await recordWorkers(db, [
      sampleReport({ atMs: 6_000, listings: [listing("b"), listing("d")] }),
    ]);
    expect(await offers(db)).toEqual({ a: false, b: true, c: true, d: true });
    const after = await searchListings(db, { model: "b", onlineOnly: true, limit: 1 });
    expect(after.items[0]?.id).toBe(before.items[0]?.id);
    await recordWorkers(db, [sampleReport({ atMs: 7_000, listings: [] })]);
    expect(await offers(db)).toEqual({ a: false, b: false, c: true, d: false });
  });

  test("a report without listings leaves them as they are", async () => {
    await using db = await makeDatabase();
    await recordWorkers(db, [sampleReport()]);
    await recordWorkers(db, [sampleReport({ atMs: 6_000, listings: undefined })]);
    expect(await offers(db)).toEqual({ "tiny-llama": true });
  });
}

function describeLateReports(makeDatabase: MakeDatabase): void {
  test("the same report twice changes nothing", async () => {
    await using db = await makeDatabase();
    await recordWorkers(db, [sampleReport()]);
    const first = await searchListings(db, { onlineOnly: false, limit: 10 });
    await recordWorkers(db, [sampleReport()]);
    expect(await searchListings(db, { onlineOnly: false, limit: 10 })).toEqual(first);
  });

  test("a report of an older session or an older time changes nothing", async () => {
    await using db = await makeDatabase();
    await recordWorkers(db, [sampleReport({ sessionEpoch: 2, atMs: 6_000 })]);
    const known = await findWorker(db, "worker-one");
    const stale = { region: "afr", hub: "afr:0", listings: [] } as const;
    await recordWorkers(db, [sampleReport({ ...stale, sessionEpoch: 1, atMs: 9_000 })]);
    await recordWorkers(db, [sampleReport({ ...stale, sessionEpoch: 2, atMs: 5_999 })]);
    expect(await findWorker(db, "worker-one")).toEqual(known);
    expect(await offers(db)).toEqual({ "tiny-llama": true });
  });
}

function describeEnds(makeDatabase: MakeDatabase): void {
  test("a worker whose session ended is offline with all its listings", async () => {
    await using db = await makeDatabase();
    await recordWorkers(db, [
      sampleReport(),
      sampleReport({ id: "worker-two", listings: [sampleListing({ model: "c" })] }),
    ]);
    await markWorkersOffline(db, []);
    await markWorkersOffline(db, [{ id: "worker-one", sessionEpoch: 1, atMs: 7_000 }]);
    expect(await findWorker(db, "worker-one")).toMatchObject({ online: false, lastSeenAt: 7_000 });
    expect(await offers(db)).toEqual({ "tiny-llama": false, c: true });
  });

  test("the end of an older session does not take the newer one offline", async () => {
    await using db = await makeDatabase();
    await recordWorkers(db, [sampleReport({ sessionEpoch: 2, atMs: 6_000 })]);
    await markWorkersOffline(db, [{ id: "worker-one", sessionEpoch: 1, atMs: 8_000 }]);
    expect((await findWorker(db, "worker-one"))?.online).toBe(true);
    expect(await offers(db)).toEqual({ "tiny-llama": true });
  });

  test("a late report of an ended session does not bring it back", async () => {
    await using db = await makeDatabase();
    await recordWorkers(db, [sampleReport({ atMs: 5_000 })]);
    await markWorkersOffline(db, [{ id: "worker-one", sessionEpoch: 1, atMs: 7_000 }]);
    await recordWorkers(db, [sampleReport({ atMs: 6_000 })]);
    expect((await findWorker(db, "worker-one"))?.online).toBe(false);
    expect(await offers(db)).toEqual({ "tiny-llama": false });
  });

  test("an account lists its own workers by pages", async () => {
    await using db = await makeDatabase();
    const ids = ["w1", "w2", "w3"];
    await recordWorkers(db, [
      ...ids.map((id) => sampleReport({ id })),
      sampleReport({ id: "w4", accountId: "acct_other" }),
    ]);
    const listed = await allPages((cursor) =>
      listWorkers(db, { accountId: "acct_paul", cursor, limit: 2 }),
    );
    expect(listed.map((worker) => worker.id)).toEqual(ids.toReversed());
  });
}
