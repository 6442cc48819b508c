import { describe, expect, test } from "vitest";
import { createTeam } from "../../../edge/db/people/teams.ts";
import { newId } from "../../../shared/ids.ts";
import { call, newConsumer, openDatabase, refusal } from "./edge-client.ts";
import { newMember, newOwner } from "./people.ts";

type Consumer = Awaited<ReturnType<typeof newConsumer>>;

const path = "/api/v1/keys";

/** A key that this consumer makes for itself. */
async function ownKey(owner: Consumer, change: Record<string, unknown> = {}) {
  const made = await call(`POST ${path}`, { key: owner.key, body: { name: "made", ...change } });
  expect(made.status).toBe(201);
  return { id: String(made.json["id"]), key: String(made.json["key"]), json: made.json };
}

async function newTeam(accountId: string): Promise<string> {
  const id = newId("team");
  await using db = openDatabase();
  const team = { id, accountId, name: "search", limits: null };
  await createTeam(db, { ...team, createdAt: Date.now() });
  return id;
}

describe("a consumer", () => {
  test("makes, reads, lists, changes and revokes keys of its own account", async () => {
    const owner = await newConsumer();
    const teamId = await newTeam(owner.accountId);
    const wishes = {
      scopes: ["inference"],
      team_id: teamId,
      models: ["octo-tiny"],
      addresses: ["192.0.2.0/24", "2001:db8::/32"],
      limits: { requests_per_minute: 60, models: { "octo-tiny": { max_tokens: 100 } } },
      expires_at: "2999-01-01T00:00:00.000Z",
    };
    const made = await ownKey(owner, wishes);
    const { key: _, ...shown } = made.json;
    expect(shown).toMatchObject({ ...wishes, account_id: owner.accountId, project_id: null });
    expect((await call(`GET ${path}/${made.id}`, { key: owner.key })).json).toEqual(shown);
    const list = await call(`GET ${path}?team_id=${teamId}`, { key: owner.key });
    expect(list.json["data"]).toEqual([shown]);
    const change = { name: "desk", models: null, limits: { concurrency: 3 } };
    const changed = await call(`PATCH ${path}/${made.id}`, { key: owner.key, body: change });
    expect(changed.json).toEqual({ ...shown, ...change });
    expect((await call(`GET ${path}/${made.id}`, { key: owner.key })).json).toEqual(changed.json);
    expect((await call(`DELETE ${path}/${made.id}`, { key: owner.key })).status).toBe(200);
    expect((await call("GET /v1/models", { key: made.key })).status).toBe(401);
    const late = await refusal(`PATCH ${path}/${made.id}`, { key: owner.key, body: change });
    expect(late).toMatchObject({ status: 409, code: "conflict" });
    const rotated = await refusal(`POST ${path}/${made.id}/rotate`, { key: owner.key, body: {} });
    expect(rotated.status).toBe(409);
  });

  test("never sees another account's keys, whatever it does with their ids", async () => {
    const [owner, other] = [await newConsumer(), await newConsumer()];
    const id = other.keyId;
    for (const query of ["", `?account_id=${other.accountId}`]) {
      for (const [route, body] of [
        [`GET ${path}/${id}${query}`],
        [`PATCH ${path}/${id}${query}`, { name: "mine" }],
        [`POST ${path}/${id}/rotate${query}`, {}],
        [`DELETE ${path}/${id}${query}`],
      ] as const) {
        const error = await refusal(route, { key: owner.key, ...(body && { body }) });
        expect([route, error.status]).toEqual([route, 404]);
      }
    }
    for (const asked of [other.accountId, newId("acct")]) {
      const list = await refusal(`GET ${path}?account_id=${asked}`, { key: owner.key });
      expect(list.status).toBe(404);
      const body = { name: "x", account_id: asked };
      expect((await refusal(`POST ${path}`, { key: owner.key, body })).status).toBe(404);
    }
    expect((await call("GET /v1/models", { key: other.key })).status).toBe(200);
  });

  test("puts keys in teams and projects of its own account alone", async () => {
    const [owner, other] = [await newConsumer(), await newConsumer()];
    const foreign = await newTeam(other.accountId);
    const made = await ownKey(owner);
    for (const team of [foreign, newId("team")]) {
      const body = { team_id: team };
      const patched = await refusal(`PATCH ${path}/${made.id}`, { key: owner.key, body });
      expect(patched).toMatchObject({ status: 404, param: "team_id" });
      const created = { key: owner.key, body: { name: "x", ...body } };
      expect(await refusal(`POST ${path}`, created)).toMatchObject({ status: 404 });
    }
    const body = { project_id: newId("prj") };
    const project = await refusal(`PATCH ${path}/${made.id}`, { key: owner.key, body });
    expect(project).toMatchObject({ status: 404, param: "project_id" });
  });
});

describe("a key gives no more than it has", () => {
  test("of scopes", async () => {
    const owner = await newConsumer();
    const steward = await ownKey(owner, { scopes: ["management"] });
    for (const scope of ["inference", "operator"]) {
      const body = { name: "more", scopes: ["read-only", scope] };
      const error = await refusal(`POST ${path}`, { key: steward.key, body });
      expect(error).toMatchObject({ status: 403, code: "insufficient_scope", param: "scopes" });
    }
    // Whoever rotates a key learns its new secret.
    const route = `POST ${path}/${owner.keyId}/rotate`;
    expect((await refusal(route, { key: steward.key, body: {} })).status).toBe(403);
    const made = await call(`POST ${path}`, {
      key: steward.key,
      body: { name: "less", scopes: ["read-only"] },
    });
    expect(made.status).toBe(201);
    const error = await refusal(`POST ${path}`, {
      key: owner.key,
      body: { name: "king", scopes: ["operator"] },
    });
    expect(error).toMatchObject({ status: 403, param: "scopes" });
  });

  test("and people give keys for inference, which they do not run themselves", async () => {
    const owner = await newOwner();
    const builder = await newMember(owner, "builder");
    const give = async (key: string, scope: string) =>
      (await call(`POST ${path}`, { key, body: { name: "bot", scopes: [scope] } })).status;
    expect(await give(owner.token, "inference")).toBe(201);
    expect(await give(owner.token, "management")).toBe(201);
    expect(await give(owner.token, "operator")).toBe(403);
    expect(await give(builder.token, "inference")).toBe(201);
    for (const scope of ["management", "read-only", "operator"]) {
      expect([scope, await give(builder.token, scope)]).toEqual([scope, 403]);
    }
  });

  test("of models, addresses and time", async () => {
    const owner = await newConsumer();
    const own = {
      scopes: ["management"],
      models: ["a", "b"],
      addresses: ["192.0.2.0/24"],
      expires_at: "2999-01-01T00:00:00.000Z",
    };
    const limited = await ownKey(owner, own);
    const from = { key: limited.key, headers: { "cf-connecting-ip": "192.0.2.9" } };
    const good = { name: "x", ...own, models: ["b"], addresses: ["192.0.2.128/25"] };
    expect((await call(`POST ${path}`, { ...from, body: good })).status).toBe(201);
    for (const [param, value] of [
      ["models", null],
      ["models", ["a", "c"]],
      ["addresses", null],
      ["addresses", ["192.0.0.0/16"]],
      ["addresses", ["192.0.2.1", "2001:db8::1"]],
      ["expires_at", null],
      ["expires_at", "2999-01-02T00:00:00.000Z"],
    ] as const) {
      const made = await refusal(`POST ${path}`, { ...from, body: { ...good, [param]: value } });
      expect([param, value, made.status, made.param]).toEqual([param, value, 403, param]);
      const patch = { ...from, body: { [param]: value } };
      const patched = await refusal(`PATCH ${path}/${limited.id}`, patch);
      expect([param, value, patched.status, patched.param]).toEqual([param, value, 403, param]);
    }
  });

  test("and reads and writes keys where its scopes say so", async () => {
    const owner = await newConsumer();
    const reader = await ownKey(owner, { scopes: ["read-only"] });
    const asker = await ownKey(owner, { scopes: ["inference"] });
    expect((await call(`GET ${path}`, { key: reader.key })).status).toBe(200);
    expect((await refusal(`GET ${path}`, { key: asker.key })).status).toBe(403);
    for (const { key } of [reader, asker]) {
      expect((await refusal(`POST ${path}`, { key, body: { name: "x" } })).status).toBe(403);
      const body = { name: "x" };
      expect((await refusal(`PATCH ${path}/${owner.keyId}`, { key, body })).status).toBe(403);
      expect((await refusal(`DELETE ${path}/${owner.keyId}`, { key })).status).toBe(403);
      const rotation = { key, body: {} };
      expect((await refusal(`POST ${path}/${owner.keyId}/rotate`, rotation)).status).toBe(403);
    }
  });
});

describe("bad input", () => {
  const cases: [string, Record<string, unknown>, string][] = [
    ["an unknown field", { secret: "x" }, "secret"],
    ["its own hash", { secret_hash: "0".repeat(64) }, "secret_hash"],
    ["an id of one's choice", { id: "aaaaaaaa" }, "id"],
    ["a balance", { balance_micros: 1 }, "balance_micros"],
    ["a replaced key", { replaces: "aaaaaaaa" }, "replaces"],
    ["a name of nothing", { name: " " }, "name"],
    ["a name with a line break", { name: "a\nb" }, "name"],
    ["no models at all", { models: [] }, "models"],
    ["a model that is no text", { models: [1] }, "models[0]"],
    ["too many models", { models: Array.from({ length: 257 }, String) }, "models"],
    ["an address that is none", { addresses: ["localhost"] }, "addresses[0]"],
    ["a block of no clear bounds", { addresses: ["192.0.2.1/24"] }, "addresses[0]"],
    ["no addresses at all", { addresses: [] }, "addresses"],
    ["a team that is none", { team_id: "team_x" }, "team_id"],
    ["a project of a wrong form", { project_id: 7 }, "project_id"],
    ["limits below zero", { limits: { tokens_per_minute: -1 } }, "limits.tokens_per_minute"],
    ["a limit of half a task", { limits: { concurrency: 0.5 } }, "limits.concurrency"],
    ["a budget over 2^53", { limits: { day_budget_micros: 2 ** 53 } }, "limits.day_budget_micros"],
    ["a limit that is none", { limits: { rpm: 1 } }, "limits.rpm"],
    ["an end in the past", { expires_at: "2020-01-01T00:00:00Z" }, "expires_at"],
    ["an end that is no time", { expires_at: "soon" }, "expires_at"],
  ];

  test.each(cases)("%s is refused by name", async (_, change, param) => {
    const owner = await newConsumer();
    const body = { name: "made", ...change };
    const made = await refusal(`POST ${path}`, { key: owner.key, body });
    expect(made).toMatchObject({ status: 400, code: "invalid_request", param });
    const patch = { key: owner.key, body: change };
    const patched = await refusal(`PATCH ${path}/${owner.keyId}`, patch);
    expect(patched).toMatchObject({ status: 400, param });
  });

  test("a change of nothing, of scopes or of the account is refused", async () => {
    const owner = await newConsumer();
    for (const body of [{}, { scopes: ["operator"] }, { account_id: newId("acct") }]) {
      const error = await refusal(`PATCH ${path}/${owner.keyId}`, { key: owner.key, body });
      expect(error.status).toBe(400);
    }
    for (const grace of [-1, 0.5, 30 * 86_400 + 1, "1", null]) {
      const body = { grace_s: grace };
      const route = `POST ${path}/${owner.keyId}/rotate`;
      const error = await refusal(route, { key: owner.key, body });
      expect(error).toMatchObject({ status: 400, param: "grace_s" });
    }
    for (const id of ["short", "toolong000", "a-b.c_d!", "..%2f..%2fx"]) {
      const error = await refusal(`GET ${path}/${id}`, { key: owner.key });
      expect([id, error.status]).toEqual([id, 400]);
    }
  });
});

describe("an operator", () => {
  test("names the account of a key, and a wrong one is not found", async () => {
    const [owner, other] = [await newConsumer(), await newConsumer()];
    const route = `GET ${path}/${owner.keyId}`;
    expect((await call(`${route}?account_id=${owner.accountId}`)).status).toBe(200);
    expect((await call(route)).status).toBe(200);
    expect((await refusal(`${route}?account_id=${other.accountId}`)).status).toBe(404);
    expect((await refusal(`POST ${path}`, { body: { name: "x" } })).param).toBe("account_id");
  });

  test("who has an account of its own means that one unless it says", async () => {
    const operator = await newConsumer("operator");
    const list = await call(`GET ${path}`, { key: operator.key });
    expect(list.json["data"]).toMatchObject([{ id: operator.keyId }]);
  });
});
