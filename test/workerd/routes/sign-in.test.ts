import { expect, test } from "vitest";
import { app } from "../../../edge/app.ts";
import { generateSigningKey } from "../../../shared/crypto/signing.ts";
import { newId } from "../../../shared/ids.ts";
import { parseSealedText } from "../../../shared/sign-in.ts";
import { call, env, newConsumer, openDatabase, refusal } from "./edge-client.ts";
import { newMember, newOwner, newPerson, sessionOf, signIn } from "./people.ts";

async function challengeOf(publicKey: string, headers: Record<string, string> = {}) {
  const body = { public_key: publicKey };
  return call("POST /api/v1/auth/challenge", { key: null, body, headers });
}

test("a challenge names network, origin, key and end, and is another each time", async () => {
  const { key } = await generateSigningKey();
  const first = await challengeOf(key.publicKey);
  expect(first.status).toBe(200);
  const parsed = parseSealedText(String(first.json["challenge"]));
  expect(parsed?.challenge).toMatchObject({
    network: "local",
    origin: "https://edge.test",
    publicKey: key.publicKey,
    expiresMs: Date.parse(String(first.json["expires_at"])),
  });
  const second = await challengeOf(key.publicKey);
  expect(second.json["challenge"]).not.toBe(first.json["challenge"]);
});

test("who signs in for the first time is a person of no account", async () => {
  const { key } = await generateSigningKey();
  const { status, json } = await signIn(key);
  expect(status).toBe(200);
  expect(json).toMatchObject({
    object: "session",
    token_type: "Bearer",
    expires_in: 300,
    person_id: key.publicKey,
    account_id: null,
    accounts: [],
  });
  const me = await call("GET /api/v1/me", { key: String(json["access_token"]) });
  expect(me.json).toMatchObject({ id: key.publicKey, name: "", account_id: null, accounts: [] });
  const named = await call("PATCH /api/v1/me", {
    key: String(json["access_token"]),
    body: { name: "Alice" },
  });
  expect(named.json).toMatchObject({ id: key.publicKey, name: "Alice" });
});

test("a challenge is answered once, also by two at the same time", async () => {
  const { key } = await generateSigningKey();
  const challenge = String((await challengeOf(key.publicKey)).json["challenge"]);
  const signature = await key.sign("octo-sign-in-v1", challenge);
  const answer = () =>
    call("POST /api/v1/auth/token", { key: null, body: { challenge, signature } });
  const statuses = (await Promise.all([answer(), answer(), answer()])).map(({ status }) => status);
  expect(statuses.toSorted()).toEqual([200, 401, 401]);
  const again = await answer();
  expect(again.json).toMatchObject({
    error: { message: "Cannot sign in: the challenge was answered before" },
  });
});

test("a challenge that was altered, or signed by another or for another purpose, is refused", async () => {
  const { key } = await generateSigningKey();
  const { key: other } = await generateSigningKey();
  const challenge = String((await challengeOf(key.publicKey)).json["challenge"]);
  const later = challenge.replace(/Expires: .*/, "Expires: 2999-01-01T00:00:00.000Z");
  const theirs = challenge.replace(key.publicKey, other.publicKey);
  const attempts = {
    "the signature is not of the challenge's key": [
      [challenge, await other.sign("octo-sign-in-v1", challenge)],
      [challenge, await key.sign("octo-auth-v1", challenge)],
    ],
    "the challenge is not of this edge": [
      [later, await key.sign("octo-sign-in-v1", later)],
      [theirs, await other.sign("octo-sign-in-v1", theirs)],
    ],
    "the text is not a challenge": [
      ["Hello", await key.sign("octo-sign-in-v1", "Hello")],
      [`${challenge}\n`, await key.sign("octo-sign-in-v1", `${challenge}\n`)],
    ],
  };
  for (const [reason, answers] of Object.entries(attempts)) {
    for (const [text, signature] of answers) {
      const body = { challenge: text, signature };
      const error = await refusal("POST /api/v1/auth/token", { key: null, body });
      expect(error).toMatchObject({ status: 401, message: `Cannot sign in: ${reason}` });
    }
  }
});

test("a challenge of one edge is worth nothing at another", async () => {
  const { key } = await generateSigningKey();
  const challenge = String((await challengeOf(key.publicKey)).json["challenge"]);
  const signature = await key.sign("octo-sign-in-v1", challenge);
  const body = JSON.stringify({ challenge, signature });
  const execution = { waitUntil() {}, passThroughOnException() {} } as unknown as ExecutionContext;
  const answer = await app.request(
    "https://other.test/api/v1/auth/token",
    { method: "POST", body },
    { ...env },
    execution,
  );
  expect(answer.status).toBe(401);
  expect(await answer.text()).toContain("the challenge is for https://edge.test");
});

test("a session acts for the one account, or for the one that was named, or for none", async () => {
  const owner = await newOwner();
  const only = await signIn(owner.wallet);
  expect(only.json).toMatchObject({
    account_id: owner.accountId,
    accounts: [{ id: owner.accountId, role: "owner", status: "active" }],
  });
  const account = await call("GET /api/v1/account", { key: String(only.json["access_token"]) });
  expect(account.json).toMatchObject({ id: owner.accountId, verification: "anonymous" });
  const second = await call("POST /api/v1/accounts/own", {
    key: owner.token,
    body: { name: "Second" },
  });
  const none = await signIn(owner.wallet);
  expect(none.json["account_id"]).toBeNull();
  const refused = await call("GET /api/v1/account", { key: String(none.json["access_token"]) });
  expect(refused).toMatchObject({
    status: 403,
    json: { error: { message: expect.stringMatching(/acts for no account: .*account_id/) } },
  });
  const named = await signIn(owner.wallet, String(second.json["id"]));
  expect(named.json["account_id"]).toBe(second.json["id"]);
  const foreign = await signIn(owner.wallet, (await newConsumer()).accountId);
  expect(foreign.status).toBe(404);
  expect((await signIn(owner.wallet, newId("acct"))).status).toBe(404);
});

test("a suspended account's members cannot act for it, and still are who they are", async () => {
  const owner = await newOwner();
  await call(`PATCH /api/v1/accounts/${owner.accountId}`, { body: { status: "suspended" } });
  expect((await refusal("GET /api/v1/account", { key: owner.token })).status).toBe(401);
  expect((await signIn(owner.wallet, owner.accountId)).status).toBe(403);
  const token = await sessionOf(owner.wallet);
  const me = await call("GET /api/v1/me", { key: token });
  expect(me.json).toMatchObject({ accounts: [{ status: "suspended" }] });
});

test("a role that changes, and a member who is removed, are known at the next request", async () => {
  const owner = await newOwner();
  const member = await newMember(owner, "finance");
  const path = `/api/v1/members/${member.id}`;
  expect((await call("GET /api/v1/members", { key: member.token })).status).toBe(200);
  await call(`PATCH ${path}`, { key: owner.token, body: { role: "read-only" } });
  expect((await refusal("GET /api/v1/members", { key: member.token })).status).toBe(403);
  await call(`DELETE ${path}`, { key: owner.token });
  expect((await refusal("GET /api/v1/account", { key: member.token })).status).toBe(401);
});

test("sessions ask no inference: what is spent has a key", async () => {
  const { token } = await newOwner();
  const body = { model: "octo-tiny", messages: [{ role: "user", content: "Hi" }] };
  const asked = await refusal("POST /v1/chat/completions", { key: token, body });
  expect(asked).toMatchObject({ status: 403, code: "insufficient_scope" });
  const routed = await refusal("POST /api/v1/route", { key: token, body });
  expect(routed).toMatchObject({ status: 403, code: "insufficient_scope" });
});

test("nothing is stored of challenges that nobody answers", async () => {
  const count = async () => {
    await using db = openDatabase();
    const rows = await db.read("count the sign-ins", (orm) =>
      orm.all<{ n: bigint }>("select count(*) as n from sign_ins"),
    );
    return rows[0]?.n;
  };
  const before = await count();
  const { key } = await generateSigningKey();
  for (let i = 0; i < 5; i++) await challengeOf(key.publicKey);
  expect(await count()).toBe(before);
});

test("where sign-up is closed nobody opens an account of their own", async () => {
  const { token } = await newPerson();
  const execution = { waitUntil() {}, passThroughOnException() {} } as unknown as ExecutionContext;
  const answer = await app.request(
    "https://edge.test/api/v1/accounts/own",
    {
      method: "POST",
      body: JSON.stringify({ name: "Mine" }),
      headers: { authorization: `Bearer ${token}` },
    },
    { ...env, OCTO_SIGN_UP: "closed" },
    execution,
  );
  expect(answer.status).toBe(403);
  expect(await answer.text()).toContain("ask for an invitation");
});

test("a person opens ten accounts and no more, also at the same time", async () => {
  const { token } = await newPerson();
  const open = () =>
    call("POST /api/v1/accounts/own", { key: token, body: { name: "One of many" } });
  const answers = await Promise.all(Array.from({ length: 12 }, open));
  const statuses = answers.map(({ status }) => status).toSorted();
  expect(statuses).toEqual([...Array<number>(10).fill(201), 409, 409]);
});
