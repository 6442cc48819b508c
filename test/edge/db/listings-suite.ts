import { expect, test } from "vitest";
import type { Database } from "../../../edge/db/database.ts";
import type { ListingSearch, NewListing } from "../../../edge/db/network/listings.ts";
import { searchListings } from "../../../edge/db/network/listings.ts";
import { models } from "../../../edge/db/schema/registry.ts";
import { markWorkersOffline, recordWorkers } from "../../../edge/db/network/workers.ts";
import { allPages } from "./all-pages.ts";
import { sampleListing, sampleReport } from "./samples.ts";
import type { MakeDatabase } from "./worlds.ts";

export function describeListings(makeDatabase: MakeDatabase): void {
  describeSearch(makeDatabase);
  describePaging(makeDatabase);
  describeModels(makeDatabase);
}

/** One worker a listing, named for its model. */
async function publish(db: Database, listings: readonly Partial<NewListing>[]): Promise<void> {
  await recordWorkers(
    db,
    listings.map((listing, i) =>
      sampleReport({ id: `worker-${i}`, listings: [sampleListing(listing)] }),
    ),
  );
}

async function found(db: Database, search: Partial<ListingSearch>): Promise<string[]> {
  const { items } = await searchListings(db, { onlineOnly: true, limit: 50, ...search });
  return items.map((listing) => listing.model);
}

function describeSearch(makeDatabase: MakeDatabase): void {
  test("a search gives what matches every filter, the cheapest first", async () => {
    await using db = await makeDatabase();
    await publish(db, [
      { model: "dear", output_micros_per_million: 900, digest: "d".repeat(64) },
      { model: "fair", output_micros_per_million: 300, input_micros_per_million: 50 },
      { model: "fairer", output_micros_per_million: 300, input_micros_per_million: 40 },
      { model: "free", output_micros_per_million: 0, input_micros_per_million: 0 },
      { model: "small", output_micros_per_million: 100, quantization: "Q2_K" },
    ]);
    expect(await found(db, {})).toEqual(["free", "small", "fairer", "fair", "dear"]);
    expect(await found(db, { model: "fair" })).toEqual(["fair"]);
    expect(await found(db, { digest: "d".repeat(64) })).toEqual(["dear"]);
    expect(await found(db, { outputMax: 300, inputMax: 45 })).toEqual(["free", "fairer"]);
    expect(await found(db, { quantization: "Q2_K" })).toEqual(["small"]);
    expect(await found(db, { region: "weur", limit: 1 })).toEqual(["free"]);
    expect(await found(db, { region: "afr" })).toEqual([]);
  });

  test("a class finds only listings that may serve a task as secret", async () => {
    await using db = await makeDatabase();
    const ceilings = ["public", "shared", "confidential", "private"] as const;
    await publish(
      db,
      ceilings.map((ceiling, i) => ({
        model: ceiling,
        class_ceiling: ceiling,
        output_micros_per_million: i,
      })),
    );
    expect(await found(db, { class: "public" })).toEqual([...ceilings]);
    expect(await found(db, { class: "confidential" })).toEqual(["confidential", "private"]);
    expect(await found(db, { class: "private" })).toEqual(["private"]);
  });

  test("an ability matches whole, whatever characters it is asked with", async () => {
    await using db = await makeDatabase();
    await publish(db, [
      { model: "a", abilities: ["tools", "vision:png"] },
      { model: "b", abilities: ["vision"], output_micros_per_million: 300 },
      { model: "c", abilities: [], output_micros_per_million: 400 },
    ]);
    expect(await found(db, { ability: "vision" })).toEqual(["b"]);
    expect(await found(db, { ability: "vision:png" })).toEqual(["a"]);
    expect(await found(db, { ability: "%" })).toEqual([]);
    expect(await found(db, { ability: `"]' or 1=1 --` })).toEqual([]);
  });

  test("a worker offline is searched only when asked for", async () => {
    await using db = await makeDatabase();
    await publish(db, [{ model: "a" }, { model: "b" }]);
    await markWorkersOffline(db, [{ id: "worker-0", sessionEpoch: 1, atMs: 9_000 }]);
    expect(await found(db, {})).toEqual(["b"]);
    expect((await found(db, { onlineOnly: false })).toSorted()).toEqual(["a", "b"]);
  });
}

function describePaging(makeDatabase: MakeDatabase): void {
  test("paging meets every steady listing once, while others come, go and reprice", async () => {
    await using db = await makeDatabase();
    const steady = Array.from({ length: 23 }, (_, i) => ({
      model: `steady-${i}`,
      // Ties in both prices, so that the id decides.
      output_micros_per_million: 100 * (i % 3),
      input_micros_per_million: 10 * (i % 2),
    }));
    await publish(db, [...steady, { model: "restless" }, { model: "leaving" }]);
    const disturb = async (page: number): Promise<void> => {
      const listings = [
        sampleListing({ model: "restless", output_micros_per_million: page % 2 === 0 ? 0 : 999 }),
      ];
      const atMs = 6_000 + page;
      await recordWorkers(db, [
        sampleReport({ id: "worker-23", atMs, listings }),
        sampleReport({ id: "worker-24", atMs, listings: [] }),
        sampleReport({ id: `late-${page}`, listings: [sampleListing({ model: `late-${page}` })] }),
      ]);
    };
    const listed = await allPages(
      (cursor) => searchListings(db, { onlineOnly: true, limit: 4, cursor }),
      disturb,
    );
    const names = listed
      .map((listing) => listing.model)
      .filter((name) => name.startsWith("steady"));
    expect(names.toSorted()).toEqual(steady.map((listing) => listing.model).toSorted());
  });

  test("the last page has no cursor, even when it is full", async () => {
    await using db = await makeDatabase();
    await publish(db, [{ model: "a" }, { model: "b" }]);
    const page = await searchListings(db, { onlineOnly: true, limit: 2 });
    expect(page.items).toHaveLength(2);
    expect(page.next).toBeNull();
  });
}

function describeModels(makeDatabase: MakeDatabase): void {
  test("a model is what its first worker said of it", async () => {
    await using db = await makeDatabase();
    await publish(db, [{ parameter_count: 7 }]);
    await recordWorkers(db, [
      sampleReport({ id: "liar", listings: [sampleListing({ parameter_count: 70 })] }),
    ]);
    const stored = await db.read("read the models", (orm) => orm.select().from(models));
    expect(stored).toEqual([
      {
        digest: "a".repeat(64),
        name: "tiny-llama",
        architecture: "llama",
        parameterCount: 7,
        quantization: "Q4_K_M",
        contextTokens: 4096,
        firstSeenAt: 5_000,
      },
    ]);
  });
}
