import { describe, expect, test } from "vitest";
import { newId } from "../../../shared/ids.ts";
import { call, newConsumer, openDatabase, refusal } from "./edge-client.ts";
import { newMember, newOwner, newPerson, sessionOf } from "./people.ts";

async function newSecret(key: string | undefined, body: object): Promise<string> {
  const made = await call("POST /api/v1/invitations", {
    ...(key === undefined ? {} : { key }),
    body,
  });
  if (made.status !== 201) throw new Error(made.text);
  return String(made.json["secret"]);
}

async function accept(key: string, secret: string) {
  return call("POST /api/v1/invitations/accept", { key, body: { secret } });
}

describe("members", () => {
  test("members are listed with their roles, and only those of one's own account", async () => {
    const owner = await newOwner();
    const builder = await newMember(owner, "builder");
    await newMember(await newOwner(), "admin");
    const { json } = await call("GET /api/v1/members", { key: owner.token });
    expect(json["data"]).toMatchObject([
      { object: "member", id: builder.id, role: "builder" },
      { object: "member", id: owner.id, role: "owner" },
    ]);
  });

  test("who never signed in cannot be added, nor anybody twice", async () => {
    const owner = await newOwner();
    const unknown = await refusal("POST /api/v1/members", {
      key: owner.token,
      body: { person_id: "A".repeat(43), role: "admin" },
    });
    expect(unknown).toMatchObject({ status: 404, code: "not_found" });
    const again = await refusal("POST /api/v1/members", {
      key: owner.token,
      body: { person_id: owner.id, role: "admin" },
    });
    expect(again).toMatchObject({ status: 409, message: `${owner.id} is a member already` });
  });

  test("admins and management keys manage everybody but owners", async () => {
    const owner = await newOwner();
    const admin = await newMember(owner, "admin");
    const other = await newMember(owner, "builder");
    const made = await call("POST /api/v1/keys", {
      body: { account_id: owner.accountId, name: "k", scopes: ["management"] },
    });
    const outsider = await newPerson();
    for (const key of [admin.token, String(made.json["key"])]) {
      const path = `/api/v1/members/${other.id}`;
      expect((await call(`PATCH ${path}`, { key, body: { role: "auditor" } })).status).toBe(200);
      const forbidden = [
        refusal(`PATCH ${path}`, { key, body: { role: "owner" } }),
        refusal(`PATCH /api/v1/members/${owner.id}`, { key, body: { role: "admin" } }),
        refusal(`DELETE /api/v1/members/${owner.id}`, { key }),
        refusal("POST /api/v1/members", {
          key,
          body: { person_id: outsider.id, role: "owner" },
        }),
        refusal("POST /api/v1/invitations", { key, body: { name: "Eve", role: "owner" } }),
      ];
      for (const error of await Promise.all(forbidden)) {
        expect(error).toMatchObject({
          status: 403,
          message: "Only an owner makes or unmakes owners",
        });
      }
    }
  });

  test("admins, who move no money, make nobody who does", async () => {
    const owner = await newOwner();
    const admin = await newMember(owner, "admin");
    const friend = await newMember(owner, "builder");
    const outsider = await newPerson();
    const role = "finance";
    const tried = (key: string) => [
      call("POST /api/v1/members", { key, body: { person_id: outsider.id, role } }),
      call(`PATCH /api/v1/members/${friend.id}`, { key, body: { role } }),
      call("POST /api/v1/invitations", { key, body: { name: "Eve", role } }),
    ];
    for (const { status, json } of await Promise.all(tried(admin.token))) {
      const error = { code: "insufficient_scope", param: "role" };
      expect({ status, json }).toMatchObject({ status: 403, json: { error } });
    }
    const made = await Promise.all(tried(owner.token));
    expect(made.map(({ status }) => status)).toEqual([201, 200, 201]);
  });

  test("a key that is limited makes no people, whom its limits would not bind", async () => {
    const owner = await newOwner();
    const [member, outsider] = [await newMember(owner, "builder"), await newPerson()];
    const limits = [
      { expires_at: "2999-01-01T00:00:00.000Z" },
      { addresses: ["192.0.2.1"] },
      { models: ["a"] },
    ];
    for (const limit of limits) {
      const body = { name: "k", scopes: ["management"], ...limit };
      const made = await call("POST /api/v1/keys", { key: owner.token, body });
      const key = String(made.json["key"]);
      const headers = { "cf-connecting-ip": "192.0.2.1" };
      const role = "admin";
      const tried = [
        refusal("POST /api/v1/members", { key, headers, body: { person_id: outsider.id, role } }),
        refusal(`PATCH /api/v1/members/${member.id}`, { key, headers, body: { role } }),
        refusal("POST /api/v1/invitations", { key, headers, body: { name: "Eve", role } }),
      ];
      for (const error of await Promise.all(tried)) {
        expect(error).toMatchObject({ status: 403, message: expect.stringContaining("limited") });
      }
      const away = await call("GET /api/v1/members", { key, headers });
      expect(away.status).toBe(200);
    }
  });

  test("whoever was made a member unasked leaves, and the last owner stays", async () => {
    const owner = await newOwner();
    const member = await newMember(owner, "read-only");
    const body = { account_id: owner.accountId };
    const left = await call("POST /api/v1/me/leave", { key: member.token, body });
    // Their session was for that account.
    expect(left.json).toMatchObject({ id: member.id, accounts: [] });
    expect((await call("GET /api/v1/me", { key: member.token })).status).toBe(401);
    const token = await sessionOf(member.wallet);
    const again = await refusal("POST /api/v1/me/leave", { key: token, body });
    expect(again).toMatchObject({ status: 404, code: "not_found" });
    const last = await refusal("POST /api/v1/me/leave", { key: owner.token, body });
    expect(last).toMatchObject({ status: 409, code: "conflict" });
  });

  test("a person whom others made a member a hundred times is one elsewhere too", async () => {
    const owner = await newOwner();
    const person = await newPerson();
    await using db = openDatabase();
    const accounts = Array.from({ length: 100 }, () => newId("acct"));
    await db.migrate("make a hundred accounts", [
      ...accounts.map(
        (id) => `insert into accounts (id, kind, name, status, concurrency_max, created_at)
          values ('${id}', 'consumer', 'x', 'active', 1, 1)`,
      ),
      ...accounts.map(
        (id) => `insert into members (account_id, person_id, role, created_at)
          values ('${id}', '${person.id}', 'builder', 1)`,
      ),
    ]);
    const secret = await newSecret(owner.token, { name: "Bob", role: "builder" });
    expect((await accept(person.token, secret)).status).toBe(200);
    const token = await sessionOf(person.wallet, owner.accountId);
    expect((await call("GET /api/v1/account", { key: token })).status).toBe(200);
  });

  test("an owner makes another and may then go", async () => {
    const owner = await newOwner();
    const next = await newMember(owner, "admin");
    const path = `/api/v1/members/${owner.id}`;
    const last = await refusal(`DELETE ${path}`, { key: owner.token });
    expect(last).toMatchObject({ status: 409, code: "conflict" });
    const body = { role: "owner" };
    await call(`PATCH /api/v1/members/${next.id}`, { key: owner.token, body });
    expect((await call(`DELETE ${path}`, { key: owner.token })).status).toBe(200);
    expect((await call("GET /api/v1/members", { key: next.token })).json["data"]).toHaveLength(1);
  });

  test("owners who lower or remove each other at the same time leave one", async () => {
    for (const how of ["PATCH", "DELETE"]) {
      const first = await newOwner();
      const second = await newMember(first, "owner");
      const strike = (by: string, at: string) =>
        call(`${how} /api/v1/members/${at}`, {
          key: by,
          ...(how === "PATCH" ? { body: { role: "read-only" } } : {}),
        });
      await Promise.all([
        strike(first.token, second.id),
        strike(second.token, first.id),
        strike(first.token, first.id),
        strike(second.token, second.id),
      ]);
      await using db = openDatabase();
      const rows = await db.read("count the owners", (orm) =>
        orm.all<{ n: bigint }>(
          `select count(*) as n from members where account_id = '${first.accountId}'
           and role = 'owner'`,
        ),
      );
      expect(rows[0]?.n).toBe(1n);
    }
  });
});

describe("invitations", () => {
  test("an invitation is shown once, makes one member, and is then used", async () => {
    const owner = await newOwner();
    const secret = await newSecret(owner.token, { name: "Bob", role: "finance" });
    const [bob, eve] = [await newPerson(), await newPerson()];
    const answers = await Promise.all([bob, eve].map(({ token }) => accept(token, secret)));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 404]);
    const [joined, late] = answers[0]?.status === 200 ? [bob, eve] : [eve, bob];
    expect((await accept(late.token, secret)).status).toBe(404);
    const token = await sessionOf(joined.wallet);
    expect((await call("GET /api/v1/me", { key: token })).json).toMatchObject({
      account_id: owner.accountId,
      accounts: [{ id: owner.accountId, role: "finance" }],
    });
    const list = await call("GET /api/v1/invitations", { key: owner.token });
    expect(list.json["data"]).toMatchObject([{ name: "Bob", accepted_by: joined.id }]);
    expect(list.text).not.toContain(secret.split("_").at(-1));
    expect(list.text).not.toContain("hash");
  });

  test("an invitation and the member who came by it say who invited, be it a person or a key", async () => {
    const owner = await newOwner();
    const admin = await newMember(owner, "admin");
    const key = await call("POST /api/v1/keys", {
      body: { account_id: owner.accountId, name: "k", scopes: ["management"] },
    });
    const keyId = String(key.json["id"]);
    const [bob, carol] = [await newPerson(), await newPerson()];
    const builder = { name: "Somebody", role: "builder" };
    await accept(bob.token, await newSecret(admin.token, builder));
    await accept(carol.token, await newSecret(String(key.json["key"]), builder));
    const invited = async (path: string) => {
      const { json } = await call(`GET ${path}`, { key: owner.token });
      return json["data"] as Record<string, unknown>[];
    };
    expect(await invited("/api/v1/invitations")).toMatchObject([
      { accepted_by: carol.id, invited_by: keyId },
      { accepted_by: bob.id, invited_by: admin.id },
    ]);
    expect(await invited("/api/v1/members")).toMatchObject([
      { id: carol.id, invited_by: keyId },
      { id: bob.id, invited_by: admin.id },
      { id: admin.id, invited_by: owner.id },
      { id: owner.id, invited_by: null },
    ]);
    // Whoever let them in stays named when they have a new role, and when the other one is gone.
    const change = { key: owner.token, body: { role: "auditor" } };
    await call(`PATCH /api/v1/members/${bob.id}`, change);
    await call(`DELETE /api/v1/members/${admin.id}`, { key: owner.token });
    expect(await invited("/api/v1/members")).toContainEqual(
      expect.objectContaining({ id: bob.id, role: "auditor", invited_by: admin.id }),
    );
  });

  test("one who was removed does not come back by the invitation they had", async () => {
    const owner = await newOwner();
    const secret = await newSecret(owner.token, { name: "Bob", role: "builder" });
    const bob = await newPerson();
    await accept(bob.token, secret);
    await call(`DELETE /api/v1/members/${bob.id}`, { key: owner.token });
    expect((await accept(bob.token, secret)).status).toBe(404);
  });

  test("a member does not use up an invitation, nor change roles by one", async () => {
    const owner = await newOwner();
    const secret = await newSecret(owner.token, { name: "Bob", role: "admin" });
    const auditor = await newMember(owner, "auditor");
    expect((await accept(auditor.token, secret)).status).toBe(409);
    const bob = await newPerson();
    expect((await accept(bob.token, secret)).status).toBe(200);
  });

  test("revoked, expired, mistyped and altered invitations all get the same answer", async () => {
    const owner = await newOwner();
    const revoked = await newSecret(owner.token, { name: "Bob", role: "admin" });
    const { json } = await call("GET /api/v1/invitations", { key: owner.token });
    const [{ id } = { id: "" }] = json["data"] as { id: string }[];
    const gone = await call(`DELETE /api/v1/invitations/${id}`, { key: owner.token });
    expect(gone.json).toEqual({ object: "invitation", id, revoked: true });
    const expired = await newSecret(owner.token, { name: "Bob", role: "admin" });
    await using db = openDatabase();
    await db.migrate("age the invitation", [
      `update invitations set expires_at = 1 where id = '${expired.slice(5, 31)}'`,
    ]);
    const good = await newSecret(owner.token, { name: "Bob", role: "admin" });
    const altered = `${good.slice(0, -1)}${good.endsWith("a") ? "b" : "a"}`;
    const bob = await newPerson();
    const texts = new Set<string>();
    for (const secret of [revoked, expired, altered, "", "octo_inv_x"]) {
      const { status, text } = await accept(bob.token, secret);
      texts.add(`${status} ${text}`);
    }
    expect([...texts]).toHaveLength(1);
    expect([...texts][0]).toMatch(/^404 .*not_found/);
  });

  test("an operator invites the first owner of an account, and nobody else", async () => {
    const { accountId } = await newConsumer();
    const first = { account_id: accountId, name: "Alice", role: "owner" };
    const other = await refusal("POST /api/v1/invitations", { body: { ...first, role: "admin" } });
    expect(other).toMatchObject({ status: 400, param: "role" });
    const nowhere = await refusal("POST /api/v1/invitations", {
      body: { name: "A", role: "owner" },
    });
    expect(nowhere).toMatchObject({ status: 400, param: "account_id" });
    const alice = await newPerson();
    expect((await accept(alice.token, await newSecret(undefined, first))).json).toMatchObject({
      id: accountId,
      role: "owner",
    });
    const second = await refusal("POST /api/v1/invitations", { body: first });
    expect(second).toMatchObject({ status: 409, code: "conflict" });
  });

  test("of several first owners whom an operator invites, the last one is let in alone", async () => {
    const { accountId } = await newConsumer();
    const first = { account_id: accountId, name: "Alice", role: "owner" };
    const [early, late] = [await newSecret(undefined, first), await newSecret(undefined, first)];
    const [eve, alice] = [await newPerson(), await newPerson()];
    expect((await accept(alice.token, late)).status).toBe(200);
    expect((await accept(eve.token, early)).status).toBe(404);
  });

  test("nobody but an operator invites to another's account, which they do not learn of", async () => {
    const owner = await newOwner();
    const { accountId } = await newOwner();
    const body = { account_id: accountId, name: "Eve", role: "admin" };
    const error = await refusal("POST /api/v1/invitations", { key: owner.token, body });
    expect(error).toMatchObject({ status: 404, code: "not_found" });
  });

  test("a hundred invitations may be open, and no more", async () => {
    const owner = await newOwner();
    const body = { name: "Bob", role: "read-only" };
    const invite = () => call("POST /api/v1/invitations", { key: owner.token, body });
    for (let i = 0; i < 10; i++) await Promise.all(Array.from({ length: 10 }, invite));
    expect((await invite()).json).toMatchObject({ error: { code: "conflict" } });
    const { json } = await call("GET /api/v1/invitations?limit=1", { key: owner.token });
    const [{ id } = { id: "" }] = json["data"] as { id: string }[];
    await call(`DELETE /api/v1/invitations/${id}`, { key: owner.token });
    expect((await invite()).status).toBe(201);
  });
});
