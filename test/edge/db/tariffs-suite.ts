import { expect, test } from "vitest";
import {
  addTariff,
  findTariff,
  listTariffs,
  readTariff,
  type StoredTariff,
  tariffsFrom,
} from "../../../edge/db/money/tariffs.ts";
import { defaultTariff, canonicalTariff, tariffAt, tariffHash } from "../../../shared/tariff.ts";
import { allPages } from "./all-pages.ts";
import type { MakeDatabase } from "./worlds.ts";

function sampleTariff(version: number, async = 40, fromMs = 0): StoredTariff {
  const modes = { ...defaultTariff.body.modes, async };
  const body = { ...defaultTariff.body, version, modes, effective_from: fromMs };
  return { hash: tariffHash(body), version, body: canonicalTariff(body), createdAt: version };
}

export function describeTariffs(makeDatabase: MakeDatabase): void {
  test("a tariff is found by its hash, byte for byte as it was stored", async () => {
    await using db = await makeDatabase();
    expect(await tariffsFrom(db, 0)).toEqual([]);
    const row = sampleTariff(1);
    expect(await addTariff(db, row)).toBe(true);
    const found = await findTariff(db, row.hash);
    expect(found).toEqual(row);
    expect(tariffHash(readTariff(row).body)).toBe(row.hash);
    expect(await findTariff(db, "0".repeat(64))).toBeNull();
  });

  test("a version is never changed, used again or gone back on", async () => {
    await using db = await makeDatabase();
    const row = sampleTariff(5);
    await addTariff(db, row);
    for (const late of [row, sampleTariff(5, 30), sampleTariff(4), sampleTariff(1)]) {
      expect(await addTariff(db, late)).toBe(false);
    }
    expect(await tariffsFrom(db, 0)).toEqual([readTariff(row)]);
  });

  test("of many at the same time the versions only rise", async () => {
    await using db = await makeDatabase();
    const versions = [3, 1, 2, 3, 5, 4];
    const added = await Promise.all(
      versions.map((version, at) => addTariff(db, sampleTariff(version, 10 + at))),
    );
    const { items } = await listTariffs(db, { limit: 100 });
    const stored = items.map(({ version }) => version);
    expect(stored).toEqual([...new Set(stored)].toSorted((a, b) => b - a));
    expect(stored[0]).toBe(5);
    expect(added.filter(Boolean)).toHaveLength(stored.length);
  });

  test("all of them are listed in pages, the newest first, each once", async () => {
    await using db = await makeDatabase();
    for (let version = 1; version <= 7; version++) await addTariff(db, sampleTariff(version));
    const listed = await allPages((cursor) => listTariffs(db, { cursor, limit: 3 }));
    expect(listed.map(({ version }) => version)).toEqual([7, 6, 5, 4, 3, 2, 1]);
  });

  test("the one that counts is known, however many are announced ahead of it", async () => {
    await using db = await makeDatabase();
    for (let version = 1; version <= 60; version++) {
      await addTariff(db, sampleTariff(version, 40, version * 1_000));
    }
    for (const nowMs of [999, 1_000, 20_500, 60_000]) {
      const known = await tariffsFrom(db, nowMs);
      const counts = Math.floor(nowMs / 1_000);
      expect(tariffAt(known, nowMs).body.version).toBe(counts);
      expect(tariffAt(known, 70_000).body.version).toBe(60);
      expect(known).toHaveLength(60 - Math.max(0, counts - 1));
    }
  });
}
