import { expect, test } from "vitest";
import { createAccount, createOwnAccount } from "../../../edge/db/people/accounts.ts";
import type { Database } from "../../../edge/db/database.ts";
import {
  addMember,
  changeRole,
  findMembership,
  listMembers,
  removeMember,
} from "../../../edge/db/people/members.ts";
import {
  findPerson,
  forgetStrangers,
  listMemberships,
  recordSignIn,
} from "../../../edge/db/people/people.ts";
import { allPages } from "./all-pages.ts";
import { sampleAccount } from "./samples.ts";
import type { MakeDatabase } from "./worlds.ts";

const minute = 60_000;
const day = 86_400_000;

/** Signs people in at a time. */
export async function signInAll(db: Database, ids: readonly string[], nowMs = 1_000) {
  for (const personId of ids) {
    const nonce = `${personId}@${nowMs}`;
    await recordSignIn(db, { nonce, personId, expiresMs: nowMs + 2 * minute, nowMs });
  }
}

export function describePeople(makeDatabase: MakeDatabase): void {
  describeSignIns(makeDatabase);
  describeMembers(makeDatabase);
}

function describeSignIns(makeDatabase: MakeDatabase): void {
  test("an answered challenge is known until long after it could be answered", async () => {
    await using db = await makeDatabase();
    const answer = { nonce: "n1", personId: "alice", expiresMs: 2 * minute };
    expect(await recordSignIn(db, { ...answer, nowMs: 0 })).toBe(true);
    expect(await recordSignIn(db, { ...answer, nowMs: 1 })).toBe(false);
    expect(await recordSignIn(db, { ...answer, nowMs: 12 * minute })).toBe(false);
    // Twelve minutes on the row goes; nobody asks for it, as the challenge has long expired.
    await signInAll(db, ["bob"], 13 * minute);
    expect(await recordSignIn(db, { ...answer, nowMs: 13 * minute })).toBe(true);
  });

  test("signing in again keeps the name and the first time", async () => {
    await using db = await makeDatabase();
    await signInAll(db, ["alice"], 1_000);
    await signInAll(db, ["alice"], 9_000);
    await signInAll(db, ["alice"], 5_000);
    expect(await findPerson(db, "alice")).toEqual({
      id: "alice",
      name: "",
      createdAt: 1_000,
      lastSeenAt: 9_000,
    });
  });

  test("who is in no account is forgotten after thirty days, members never", async () => {
    await using db = await makeDatabase();
    await signInAll(db, ["alice", "bob"], 0);
    await signInAll(db, ["carol"], 1);
    await createOwnAccount(db, sampleAccount(), "alice");
    expect(await forgetStrangers(db, 30 * day)).toBe(0);
    expect(await forgetStrangers(db, 30 * day + 1)).toBe(1);
    expect(await findPerson(db, "bob")).toBeNull();
    expect(await findPerson(db, "carol")).not.toBeNull();
    expect(await findPerson(db, "alice")).not.toBeNull();
  });
}

/** An account with these owners. */
async function ownedBy(db: Database, first: string, ...others: string[]): Promise<string> {
  const { id: accountId } = sampleAccount();
  await createOwnAccount(db, sampleAccount(), first);
  for (const personId of others) {
    const change = { accountId, byPersonId: first, personId };
    await addMember(db, { ...change, role: "owner", invitedBy: "alice", nowMs: 1 });
  }
  return accountId;
}

async function rolesOf(db: Database, accountId: string): Promise<Record<string, string>> {
  const { items } = await listMembers(db, { accountId, limit: 100 });
  return Object.fromEntries(items.map(({ personId, role }) => [personId, role]));
}

function describeMembers(makeDatabase: MakeDatabase): void {
  test("an account of one's own comes with its owner", async () => {
    await using db = await makeDatabase();
    await signInAll(db, ["alice"]);
    expect(await createOwnAccount(db, sampleAccount(), "alice")).toBe(true);
    expect(await listMemberships(db, "alice")).toEqual([
      { accountId: "acct_alice", name: "Alice", status: "active", role: "owner" },
    ]);
  });

  test("only owners make and unmake owners, whatever else is asked at the same time", async () => {
    await using db = await makeDatabase();
    await signInAll(db, ["alice", "bob", "carol"]);
    const accountId = await ownedBy(db, "alice");
    const by = (byPersonId: string | null, personId: string) => {
      return { accountId, byPersonId, personId };
    };
    await addMember(db, { ...by("alice", "bob"), role: "admin", invitedBy: "alice", nowMs: 2 });
    for (const who of ["bob", "carol", null]) {
      const add = { ...by(who, "carol"), role: "owner", nowMs: 3 } as const;
      expect(await addMember(db, { ...add, invitedBy: "alice" })).toBe(false);
      expect(await changeRole(db, { ...by(who, "bob"), role: "owner" })).toBe(false);
      expect(await changeRole(db, { ...by(who, "alice"), role: "admin" })).toBe(false);
      expect(await removeMember(db, by(who, "alice"))).toBe(false);
    }
    expect(await rolesOf(db, accountId)).toEqual({ alice: "owner", bob: "admin" });
  });

  test("the last owner stays, also where two owners strike each other at once", async () => {
    await using db = await makeDatabase();
    await signInAll(db, ["alice", "bob"]);
    const accountId = await ownedBy(db, "alice", "bob");
    const strikes = ["alice", "bob"].flatMap((byPersonId) =>
      ["alice", "bob"].flatMap((personId) => [
        changeRole(db, { accountId, byPersonId, personId, role: "auditor" }),
        removeMember(db, { accountId, byPersonId, personId }),
      ]),
    );
    await Promise.all(strikes);
    const owners = Object.values(await rolesOf(db, accountId)).filter((role) => role === "owner");
    expect(owners).toHaveLength(1);
  });

  test("an owner may be made an owner again, and others changed, beside one owner", async () => {
    await using db = await makeDatabase();
    await signInAll(db, ["alice", "bob"]);
    const accountId = await ownedBy(db, "alice");
    const change = { accountId, byPersonId: "alice", personId: "alice" };
    expect(await changeRole(db, { ...change, role: "owner" })).toBe(true);
    expect(await changeRole(db, { ...change, role: "admin" })).toBe(false);
    await addMember(db, { ...change, personId: "bob", role: "builder", invitedBy: "k", nowMs: 2 });
    expect(await changeRole(db, { ...change, personId: "bob", role: "finance" })).toBe(true);
    expect(await removeMember(db, { ...change, personId: "bob" })).toBe(true);
  });

  test("members are of their account alone, and each is listed once", async () => {
    await using db = await makeDatabase();
    const ids = ["ann", "ben", "cid", "dot", "eve"];
    await signInAll(db, ids);
    const accountId = await ownedBy(db, "ann");
    for (const [i, personId] of ids.entries()) {
      const change = { accountId, byPersonId: null, personId };
      await addMember(db, {
        ...change,
        role: "builder",
        invitedBy: "k",
        nowMs: 2_000 + (i >> 1),
      });
    }
    await createAccount(db, sampleAccount({ id: "acct_bob" }));
    expect(await rolesOf(db, "acct_bob")).toEqual({});
    const other = { accountId: "acct_bob", byPersonId: "ann", personId: "eve" };
    expect(await changeRole(db, { ...other, role: "auditor" })).toBe(false);
    expect(await removeMember(db, other)).toBe(false);
    expect(await findMembership(db, { accountId: "acct_bob", personId: "ann" })).toBeNull();
    const listed = await allPages((cursor) => listMembers(db, { accountId, cursor, limit: 2 }));
    expect(listed.map(({ personId }) => personId)).toEqual(["eve", "dot", "cid", "ben", "ann"]);
  });
}
