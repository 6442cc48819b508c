import { expect, test } from "vitest";
import { createAccount, createOwnAccount } from "../../../edge/db/people/accounts.ts";
import {
  acceptInvitation,
  createInvitation,
  findOpenInvitation,
  listInvitations,
  type NewInvitation,
  revokeInvitation,
} from "../../../edge/db/people/invitations.ts";
import { listMembers } from "../../../edge/db/people/members.ts";
import { signInAll } from "./people-suite.ts";
import { sampleAccount } from "./samples.ts";
import type { MakeDatabase } from "./worlds.ts";

const secretHash = "5".repeat(64);

function sampleInvitation(change: Partial<NewInvitation> = {}): NewInvitation {
  return {
    id: "inv_1",
    accountId: "acct_alice",
    role: "builder",
    name: "Bob",
    secretHash,
    invitedBy: "alice",
    createdAt: 1_000,
    expiresAt: 9_000,
    ...change,
  };
}

const alice = { personId: "alice", isOperator: false };
const operator = { personId: null, isOperator: true };

export function describeInvitations(makeDatabase: MakeDatabase): void {
  async function makeWorld() {
    const db = await makeDatabase();
    await signInAll(db, ["alice", "bob", "carol"]);
    await createOwnAccount(db, sampleAccount(), "alice");
    return db;
  }

  test("of many who hold an invitation one becomes a member, once", async () => {
    await using db = await makeWorld();
    await createInvitation(db, sampleInvitation(), alice);
    const accept = (personId: string, nowMs: number) =>
      acceptInvitation(db, { id: "inv_1", secretHash, personId, nowMs });
    const joined = await Promise.all([
      accept("bob", 2_000),
      accept("carol", 2_000),
      accept("bob", 2_000),
    ]);
    expect(joined.filter(Boolean)).toHaveLength(1);
    const { items } = await listMembers(db, { accountId: "acct_alice", limit: 9 });
    expect(items).toHaveLength(2);
    const list = await listInvitations(db, { accountId: "acct_alice", limit: 9 });
    expect(list.items).toMatchObject([{ acceptedBy: items[0]?.personId, acceptedAt: 2_000 }]);
    expect(list.items[0]).not.toHaveProperty("secretHash");
  });

  test("a wrong secret, another id, one that is over or revoked makes nobody a member", async () => {
    await using db = await makeWorld();
    await createInvitation(db, sampleInvitation(), alice);
    await createInvitation(db, sampleInvitation({ id: "inv_2" }), alice);
    const of = { accountId: "acct_alice", atMs: 1_500 };
    expect(await revokeInvitation(db, { ...of, id: "inv_2", accountId: "acct_bob" })).toBe(false);
    expect(await revokeInvitation(db, { ...of, id: "inv_2" })).toBe(true);
    const good = { id: "inv_1", secretHash, personId: "bob", nowMs: 2_000 };
    for (const change of [
      { secretHash: "6".repeat(64) },
      { id: "inv_2" },
      { id: "inv_3" },
      { nowMs: 9_000 },
    ]) {
      expect(await acceptInvitation(db, { ...good, ...change })).toBe(false);
      expect(await findOpenInvitation(db, { ...good, ...change })).toBeNull();
    }
    expect(await acceptInvitation(db, good)).toBe(true);
  });

  test("a member of before keeps their role and leaves the invitation to others", async () => {
    await using db = await makeWorld();
    await createInvitation(db, sampleInvitation(), alice);
    const by = (personId: string) => ({ id: "inv_1", secretHash, personId, nowMs: 2_000 });
    expect(await acceptInvitation(db, by("alice"))).toBe(false);
    expect(await acceptInvitation(db, by("bob"))).toBe(true);
  });

  test("owners are invited by owners, and the first one by an operator", async () => {
    await using db = await makeWorld();
    await createAccount(db, sampleAccount({ id: "acct_new" }));
    const owner = sampleInvitation({ role: "owner" });
    const bob = { personId: "bob", isOperator: false };
    expect(await createInvitation(db, owner, bob)).toBe(false);
    expect(await createInvitation(db, owner, { personId: null, isOperator: false })).toBe(false);
    expect(await createInvitation(db, owner, operator)).toBe(false);
    expect(await createInvitation(db, owner, alice)).toBe(true);
    const first = sampleInvitation({ id: "inv_2", role: "owner", accountId: "acct_new" });
    expect(await createInvitation(db, first, alice)).toBe(false);
    expect(await createInvitation(db, first, operator)).toBe(true);
  });
}
