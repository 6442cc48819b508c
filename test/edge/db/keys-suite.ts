import { expect, test } from "vitest";
import { createAccount } from "../../../edge/db/people/accounts.ts";
import {
  changeApiKey,
  createApiKey,
  findApiKey,
  listApiKeys,
  readApiKey,
  recordKeyUses,
  replaceApiKey,
  revokeApiKey,
} from "../../../edge/db/people/api-keys.ts";
import type { Database } from "../../../edge/db/database.ts";
import { createTeam } from "../../../edge/db/people/teams.ts";
import { sampleAccount, sampleKey } from "./samples.ts";
import type { MakeDatabase } from "./worlds.ts";

const alice = "acct_alice";

async function withTeam(db: Database): Promise<void> {
  await createAccount(db, sampleAccount());
  await createAccount(db, sampleAccount({ id: "acct_bob" }));
  await createTeam(db, {
    id: "team_one",
    accountId: alice,
    name: "one",
    limits: null,
    createdAt: 1,
  });
}

/** Keys of the team, of which the last one is given back. */
async function fill(db: Database, count: number): Promise<boolean> {
  let added = false;
  for (let at = 0; at < count; at++) {
    const id = `k${String(at).padStart(7, "0")}`;
    added = await createApiKey(db, sampleKey({ id, teamId: "team_one" }));
  }
  return added;
}

export function describeManagedKeys(makeDatabase: MakeDatabase): void {
  test("what is not changed stays, and only the account that owns a key changes it", async () => {
    await using db = await makeDatabase();
    await withTeam(db);
    await createApiKey(db, sampleKey({ models: ["a"], addresses: ["192.0.2.0/24"] }));
    const id = "k0000001";
    const change = { name: "desk", models: null, limits: { concurrency: 2 } };
    expect(await changeApiKey(db, { accountId: "acct_bob", id, atMs: 9 }, change)).toBe(false);
    expect(await changeApiKey(db, { accountId: alice, id, atMs: 9 }, change)).toBe(true);
    const { secretHash: _, ...rest } = sampleKey();
    expect(await readApiKey(db, { accountId: alice, id })).toEqual({
      ...rest,
      ...change,
      addresses: ["192.0.2.0/24"],
      revokedAt: null,
    });
    expect(await readApiKey(db, { accountId: "acct_bob", id })).toBeNull();
  });

  test.each([
    ["none", null, 5_000],
    ["a later one", 9_000, 5_000],
    ["an earlier one", 3_000, 3_000],
  ])("a key that is replaced ends, where its own end was %s", async (_, expiresAt, ends) => {
    await using db = await makeDatabase();
    await withTeam(db);
    await createApiKey(db, sampleKey({ expiresAt }));
    await createApiKey(db, sampleKey({ id: "k0000003" }));
    const fresh = { ...sampleKey({ id: "k0000002" }), replaces: "k0000001" };
    expect(await replaceApiKey(db, fresh, 5_000)).toBe(true);
    expect((await findApiKey(db, "k0000001"))?.expiresAt).toBe(ends);
    expect((await findApiKey(db, "k0000003"))?.expiresAt).toBeNull();
    const read = await readApiKey(db, { accountId: alice, id: "k0000002" });
    expect(read).toMatchObject({ replaces: "k0000001", expiresAt: null });
  });

  test("a key that was revoked meanwhile is not replaced", async () => {
    await using db = await makeDatabase();
    await withTeam(db);
    await createApiKey(db, sampleKey());
    await revokeApiKey(db, { accountId: alice, id: "k0000001", atMs: 3_000 });
    const fresh = { ...sampleKey({ id: "k0000002" }), replaces: "k0000001" };
    expect(await replaceApiKey(db, fresh, 5_000)).toBe(false);
    expect(await findApiKey(db, "k0000002")).toBeNull();
  });

  test("a team has 100 keys that work, and not one more by any way", async () => {
    await using db = await makeDatabase();
    await withTeam(db);
    expect(await fill(db, 100)).toBe(true);
    const one = sampleKey({ id: "k1000000", teamId: "team_one", createdAt: 3_000 });
    expect(await createApiKey(db, one)).toBe(false);
    expect(await findApiKey(db, one.id)).toBeNull();
    expect(await createApiKey(db, { ...one, teamId: null })).toBe(true);
    const key = { accountId: alice, id: one.id, atMs: 3_000 };
    expect(await changeApiKey(db, key, { teamId: "team_one" })).toBe(false);
    // A key of the team itself takes no more room, and neither does the one that it gives way to.
    const last = { accountId: alice, id: "k0000099", atMs: 3_000 };
    expect(await changeApiKey(db, last, { teamId: "team_one" })).toBe(true);
    const fresh = { ...one, id: "k2000000", replaces: "k0000099" };
    expect(await replaceApiKey(db, fresh, 2_500)).toBe(true);
    // It has ended by now; one that is revoked makes room as well.
    expect(await createApiKey(db, { ...one, id: "k3000000" })).toBe(false);
    await revokeApiKey(db, { accountId: alice, id: "k0000001", atMs: 3_000 });
    expect(await createApiKey(db, { ...one, id: "k3000000" })).toBe(true);
  });

  test("a team that is full replaces no key of another, which then does not end", async () => {
    await using db = await makeDatabase();
    await withTeam(db);
    await fill(db, 100);
    await createApiKey(db, sampleKey({ id: "k1000000" }));
    const fresh = sampleKey({ id: "k2000000", teamId: "team_one" });
    expect(await replaceApiKey(db, { ...fresh, replaces: "k1000000" }, 5_000)).toBe(false);
    expect((await findApiKey(db, "k1000000"))?.expiresAt).toBeNull();
  });

  test("keys are listed by team", async () => {
    await using db = await makeDatabase();
    await withTeam(db);
    await createApiKey(db, sampleKey());
    await createApiKey(db, sampleKey({ id: "k0000002", teamId: "team_one" }));
    const page = await listApiKeys(db, { accountId: alice, teamId: "team_one", limit: 10 });
    expect(page.items.map(({ id }) => id)).toEqual(["k0000002"]);
  });

  test("uses of an account's keys are written together, and none goes back in time", async () => {
    await using db = await makeDatabase();
    await withTeam(db);
    for (const id of ["k0000001", "k0000002", "k0000003"])
      await createApiKey(db, sampleKey({ id }));
    await createApiKey(db, sampleKey({ id: "k0000009", accountId: "acct_bob" }));
    const uses = (...of: [string, number][]) => recordKeyUses(db, alice, new Map(of));
    await uses(["k0000001", 60_000], ["k0000002", 120_000], ["k0000009", 60_000]);
    await uses(["k0000001", 180_000], ["k0000002", 60_000]);
    const used = async (id: string) => (await findApiKey(db, id))?.lastUsedAt;
    expect(await used("k0000001")).toBe(180_000);
    expect(await used("k0000002")).toBe(120_000);
    expect(await used("k0000003")).toBeNull();
    expect(await used("k0000009")).toBeNull();
  });
}
