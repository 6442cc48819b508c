import { expect, test } from "vitest";
import {
  changeAccount,
  createAccount,
  findAccount,
  listAccounts,
} from "../../../edge/db/people/accounts.ts";
import {
  createApiKey,
  findApiKey,
  listApiKeys,
  revokeApiKey,
} from "../../../edge/db/people/api-keys.ts";
import { allPages } from "./all-pages.ts";
import { sampleAccount, sampleKey } from "./samples.ts";
import type { MakeDatabase } from "./worlds.ts";

export function describeAccounts(makeDatabase: MakeDatabase): void {
  describeAccountRows(makeDatabase);
  describeKeys(makeDatabase);
  describeHostileText(makeDatabase);
}

function describeAccountRows(makeDatabase: MakeDatabase): void {
  test("an account is found as it was created", async () => {
    await using db = await makeDatabase();
    await createAccount(db, sampleAccount());
    expect(await findAccount(db, "acct_alice")).toEqual(sampleAccount());
    expect(await findAccount(db, "acct_bob")).toBeNull();
    expect((await listAccounts(db, { limit: 2 })).items).toEqual([sampleAccount()]);
  });

  test("a second account under a taken id is a conflict and changes nothing", async () => {
    await using db = await makeDatabase();
    await createAccount(db, sampleAccount());
    await expect(createAccount(db, sampleAccount({ name: "Mallory" }))).rejects.toMatchObject({
      code: "conflict",
      message: "Cannot create the account: a row breaks a primarykey rule",
    });
    expect(await findAccount(db, "acct_alice")).toEqual(sampleAccount());
  });

  test("a suspended account says so, and an unknown one cannot be suspended", async () => {
    await using db = await makeDatabase();
    await createAccount(db, sampleAccount());
    expect(await changeAccount(db, "acct_alice", { status: "suspended" })).toBe(true);
    expect(await changeAccount(db, "acct_bob", { status: "suspended" })).toBe(false);
    expect((await findAccount(db, "acct_alice"))?.status).toBe("suspended");
  });

  test("paging through accounts meets each once, newest first, while others appear", async () => {
    await using db = await makeDatabase();
    const ids = Array.from({ length: 7 }, (_, i) => `acct_${i}`);
    // Three a millisecond, so that pages end inside a tie.
    for (const [i, id] of ids.entries()) {
      await createAccount(db, sampleAccount({ id, createdAt: 100 + Math.floor(i / 3) }));
    }
    const listed = await allPages(
      (cursor) => listAccounts(db, { cursor, limit: 2 }),
      (page) => createAccount(db, sampleAccount({ id: `acct_new${page}`, createdAt: 999 })),
    );
    expect(listed.map((account) => account.id)).toEqual(ids.toReversed());
  });

  test("accounts can be listed by kind", async () => {
    await using db = await makeDatabase();
    await createAccount(db, sampleAccount());
    await createAccount(db, sampleAccount({ id: "acct_paul", kind: "provider" }));
    const { items, next } = await listAccounts(db, { kind: "provider", limit: 10 });
    expect(items.map((account) => account.id)).toEqual(["acct_paul"]);
    expect(next).toBeNull();
  });
}

function describeKeys(makeDatabase: MakeDatabase): void {
  test("a key is found together with the state of its account", async () => {
    await using db = await makeDatabase();
    await createAccount(db, sampleAccount({ status: "suspended" }));
    await createApiKey(db, sampleKey({ expiresAt: 9_000 }));
    expect(await findApiKey(db, "k0000001")).toEqual({
      id: "k0000001",
      accountId: "acct_alice",
      scopes: ["inference", "read-only"],
      teamId: null,
      projectId: null,
      models: null,
      addresses: null,
      lastUsedAt: null,
      env: "dev",
      secretHash: "5".repeat(64),
      revokedAt: null,
      expiresAt: 9_000,
      accountKind: "consumer",
      accountStatus: "suspended",
      concurrencyMax: 8,
      routing: null,
    });
    expect(await findApiKey(db, "k0000002")).toBeNull();
  });

  test("a key of an unknown account is a conflict", async () => {
    await using db = await makeDatabase();
    await expect(createApiKey(db, sampleKey())).rejects.toMatchObject({
      code: "conflict",
      message: "Cannot create the key: a row breaks a foreignkey rule",
    });
  });

  test("only the account that owns a key can revoke it, and the first time stays", async () => {
    await using db = await makeDatabase();
    await createAccount(db, sampleAccount());
    await createApiKey(db, sampleKey());
    const id = "k0000001";
    expect(await revokeApiKey(db, { accountId: "acct_bob", id, atMs: 5 })).toBe(false);
    expect((await findApiKey(db, id))?.revokedAt).toBeNull();
    expect(await revokeApiKey(db, { accountId: "acct_alice", id, atMs: 6 })).toBe(true);
    expect(await revokeApiKey(db, { accountId: "acct_alice", id, atMs: 7 })).toBe(true);
    expect((await findApiKey(db, id))?.revokedAt).toBe(6);
  });

  test("a list of keys holds one account's keys and no secret", async () => {
    await using db = await makeDatabase();
    await createAccount(db, sampleAccount());
    await createAccount(db, sampleAccount({ id: "acct_bob" }));
    for (const id of ["k0000001", "k0000002", "k0000003"])
      await createApiKey(db, sampleKey({ id }));
    await createApiKey(db, sampleKey({ id: "k0000004", accountId: "acct_bob" }));
    const keys = await allPages((cursor) =>
      listApiKeys(db, { accountId: "acct_alice", cursor, limit: 1 }),
    );
    expect(keys.map((key) => key.id)).toEqual(["k0000003", "k0000002", "k0000001"]);
    expect(keys[0]).not.toHaveProperty("secretHash");
  });
}

function describeHostileText(makeDatabase: MakeDatabase): void {
  const hostile = [
    `'; drop table accounts; --`,
    `" or 1=1 --`,
    "\\'); select 1",
    "emoji 🐙 and line\nbreaks",
    "?1 :name @name $name",
    "%_[a-z]*",
  ];

  test("text that looks like SQL is only ever a value", async () => {
    await using db = await makeDatabase();
    for (const [i, text] of hostile.entries()) {
      await createAccount(db, sampleAccount({ id: text, name: text, createdAt: i }));
      expect(await findAccount(db, text)).toMatchObject({ id: text, name: text });
    }
    expect((await listAccounts(db, { limit: 50 })).items).toHaveLength(hostile.length);
    expect(await findAccount(db, "' or '1'='1")).toBeNull();
  });

  test("a cursor nobody made is refused by the field at fault", async () => {
    await using db = await makeDatabase();
    for (const cursor of ["", "!", "bm90IGpzb24", "WzFd", "WyJhIiwiYiJd", "W251bGwsbnVsbF0"]) {
      await expect(listAccounts(db, { cursor, limit: 1 })).rejects.toMatchObject({
        code: "invalid_request",
        param: "cursor",
      });
    }
  });
}
