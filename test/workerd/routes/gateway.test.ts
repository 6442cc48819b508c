import { describe, expect, test } from "vitest";
import { newId } from "../../../shared/ids.ts";
import { keyUuid } from "../../../shared/spend-event.ts";
import { call, newConsumer, refusal } from "./edge-client.ts";

type Consumer = Awaited<ReturnType<typeof newConsumer>>;

async function generate({ key }: Consumer, body: Record<string, unknown> = {}) {
  const { status, json } = await call("POST /key/generate", { key, body });
  expect(status).toBe(200);
  return { json, id: String(json["key_id"]), key: String(json["key"]) };
}

describe("keys by the gateway specification", () => {
  test.each([
    ["default", ["inference", "read-only"]],
    ["LLM_API", ["inference"]],
    ["llm_api", ["inference"]],
    ["MANAGEMENT", ["management"]],
    ["READ_ONLY", ["read-only"]],
  ])("a key of type %s has the scopes %j", async (type, scopes) => {
    const owner = await newConsumer();
    const made = await generate(owner, { key_type: type });
    expect(made.json).toEqual({
      key: expect.stringMatching(/^octo_sk_/),
      key_id: made.id,
      key_uuid: await keyUuid(made.id),
      key_type: type.toLowerCase(),
      team_id: null,
      created_at: expect.any(Number),
      expires: null,
    });
    const read = await call(`GET /api/v1/keys/${made.id}`, { key: owner.key });
    expect(read.json).toMatchObject({ scopes, account_id: owner.accountId, limits: null });
    const info = await call("GET /key/info", { key: made.key });
    expect(info.json).toMatchObject({ key_id: made.id, revoked: false, current_spend: 0 });
  });

  test("limits and teams are those of our own routes, by other names", async () => {
    const owner = await newConsumer();
    const team = await call("POST /team", { key: owner.key, body: { name: "search" } });
    const teamId = String(team.json["team_id"]);
    const limits = { budget_limit: 5_000_000, rpm_limit: 60, tpm_limit: 9_000 };
    const made = await generate(owner, { ...limits, team_id: teamId, description: "bot" });
    const read = () => call(`GET /api/v1/keys/${made.id}`, { key: owner.key });
    expect((await read()).json).toMatchObject({
      name: "bot",
      team_id: teamId,
      limits: {
        month_budget_micros: 5_000_000,
        requests_per_minute: 60,
        tokens_per_minute: 9_000,
      },
    });
    const body = { rpm_limit: null, budget_limit: 6_000_000, description: "desk", models: ["m"] };
    const put = await call(`PUT /key/${made.id}`, { key: owner.key, body });
    const after = { ...limits, ...body, team_id: teamId };
    expect(put.json).toMatchObject(after);
    expect((await read()).json).toMatchObject({
      name: "desk",
      limits: { month_budget_micros: 6_000_000, tokens_per_minute: 9_000 },
    });
    const list = await call(`GET /key/list?team_id=${teamId}`, { key: owner.key });
    expect(list.json).toMatchObject({ keys: [{ key_id: made.id, ...after }], next_cursor: null });
  });

  test("a key is regenerated with a grace, and deleted at once", async () => {
    const owner = await newConsumer();
    const old = await generate(owner, { rpm_limit: 7 });
    const body = { key_id: old.id, grace_s: 0 };
    const made = await call("POST /key/regenerate", { key: owner.key, body });
    const fresh = { id: String(made.json["key_id"]), key: String(made.json["key"]) };
    expect((await call("GET /key/info", { key: old.key })).status).toBe(401);
    const info = await call("GET /key/info", { key: fresh.key });
    expect(info.json).toMatchObject({ rpm_limit: 7, rotated_from: old.id });
    const gone = await call(`DELETE /key/${fresh.id}`, { key: owner.key });
    expect(gone.json).toEqual({ key_id: fresh.id, revoked: true });
    expect((await call("GET /key/info", { key: fresh.key })).status).toBe(401);
    const self = await call("POST /key/regenerate", { key: owner.key, body: {} });
    expect(self.json["key_type"]).toBe("management");
    expect((await call("GET /key/info", { key: owner.key })).status).toBe(200);
  });

  test("what a key may not do it may not do by these names either", async () => {
    const [owner, other] = [await newConsumer(), await newConsumer()];
    const asker = await generate(owner, { key_type: "LLM_API" });
    const reader = await generate(owner, { key_type: "READ_ONLY" });
    const steward = await generate(owner, { key_type: "MANAGEMENT" });
    const refused: [string, string, Record<string, unknown> | undefined][] = [
      [asker.key, "POST /key/generate", {}],
      [reader.key, "POST /key/generate", {}],
      [steward.key, "POST /key/generate", { key_type: "LLM_API" }],
      [steward.key, "POST /key/regenerate", { key_id: asker.id }],
      [asker.key, "GET /key/list", undefined],
      [asker.key, `GET /key/info?key_id=${reader.id}`, undefined],
      [reader.key, `DELETE /key/${asker.id}`, undefined],
      [reader.key, `PUT /key/${asker.id}`, { rpm_limit: 1 }],
      [reader.key, "POST /team", { name: "x" }],
    ];
    for (const [key, route, body] of refused) {
      const error = await refusal(route, { key, ...(body && { body }) });
      expect([route, error.status, error.code]).toEqual([route, 403, "insufficient_scope"]);
    }
    const foreign: [string, Record<string, unknown> | undefined][] = [
      [`GET /key/info?key_id=${other.keyId}`, undefined],
      [`PUT /key/${other.keyId}`, { rpm_limit: 1 }],
      [`DELETE /key/${other.keyId}`, undefined],
      ["POST /key/regenerate", { key_id: other.keyId }],
      ["POST /key/generate", { account_id: other.accountId }],
      [`GET /key/list?account_id=${other.accountId}`, undefined],
      ["POST /key/generate", { team_id: newId("team") }],
    ];
    for (const [route, body] of foreign) {
      const error = await refusal(route, { key: owner.key, ...(body && { body }) });
      expect([route, error.status]).toEqual([route, 404]);
    }
  });

  test.each([
    ["POST /key/generate", { key_type: "king" }, "key_type"],
    ["POST /key/generate", { key_type: 1 }, "key_type"],
    ["POST /key/generate", { budget_limit: -1 }, "budget_limit"],
    ["POST /key/generate", { budget_limit: 0.5 }, "budget_limit"],
    ["POST /key/generate", { budget_limit: 2 ** 53 }, "budget_limit"],
    ["POST /key/generate", { rpm_limit: "60" }, "rpm_limit"],
    ["POST /key/generate", { tpm_limit: Number.MAX_SAFE_INTEGER }, "tpm_limit"],
    ["POST /key/generate", { auto_rotate: true }, "auto_rotate"],
    ["POST /key/generate", { metadata: {} }, "metadata"],
    ["POST /key/generate", { current_spend: 0 }, "current_spend"],
    ["POST /key/generate", { description: "" }, "description"],
    ["POST /key/generate", { team_id: "x" }, "team_id"],
    ["POST /key/regenerate", { grace_s: -1 }, "grace_s"],
    ["POST /key/regenerate", { key_id: "x" }, "key_id"],
    ["PUT /key/aaaaaaaa", {}, null],
    ["PUT /key/aaaaaaaa", { key_type: "management" }, "key_type"],
    ["PUT /key/aaaaaaa", { rpm_limit: 1 }, "id"],
    ["POST /team", { name: "" }, "name"],
    ["POST /team", { name: "x", budget_limit: -1 }, "budget_limit"],
    ["POST /team", { name: "x", account_id: newId("acct") }, "account_id"],
    ["PUT /team/x", { name: "x" }, "id"],
  ])("%s of %j is refused by name", async (route, body, param) => {
    const { key } = await newConsumer();
    expect(await refusal(route, { key, body })).toMatchObject({ status: 400, param });
  });
});

describe("teams by the gateway specification", () => {
  test("are made, read, listed and changed by their own account alone", async () => {
    const [owner, other] = [await newConsumer(), await newConsumer()];
    const body = { name: "search", budget_limit: 5_000_000 };
    const made = await call("POST /team", { key: owner.key, body });
    const teamId = String(made.json["team_id"]);
    expect(made.json).toEqual({ team_id: teamId, ...body, created_at: expect.any(Number) });
    const read = await call(`GET /team/${teamId}`, { key: owner.key });
    expect(read.json).toEqual({ ...made.json, current_spend: 0 });
    const changed = { name: "find", budget_limit: null };
    const put = await call(`PUT /team/${teamId}`, { key: owner.key, body: changed });
    expect(put.json).toEqual({ ...made.json, ...changed });
    const list = await call("GET /team", { key: owner.key });
    expect(list.json).toEqual({ teams: [put.json], next_cursor: null });
    expect((await call("GET /team", { key: other.key })).json["teams"]).toEqual([]);
    expect((await refusal(`GET /team/${teamId}`, { key: other.key })).status).toBe(404);
    const foreign = { key: other.key, body: changed };
    expect((await refusal(`PUT /team/${teamId}`, foreign)).status).toBe(404);
  });
});

test("what is supported is what the key may ask for", async () => {
  const owner = await newConsumer();
  const limited = await generate(owner, { models: ["nobody-has-it"] });
  const supported = await call("GET /global/supported", { key: limited.key });
  expect(supported.json).toEqual({ models: [] });
});

test("a path that is encoded twice is refused, whatever it means", async () => {
  const { key, keyId } = await newConsumer();
  const twice = [
    "/key/%252e%252e%252fteam",
    `/key/${keyId}%252f`,
    "/v1/models/a%2541",
    "/%252fkey",
  ];
  for (const path of twice) {
    for (const method of ["GET", "DELETE"]) {
      const error = await refusal(`${method} ${path}`, { key });
      expect([path, error.status, error.code]).toEqual([path, 400, "invalid_request"]);
    }
  }
  const parts = ["/key/../team", "/key/%2e%2e/team"];
  for (const path of parts) expect((await call(`GET ${path}`, { key })).json["teams"]).toEqual([]);
  expect((await refusal(`DELETE /key/..%2f${keyId}`, { key })).status).toBe(400);
  expect((await call(`GET /key/info?key_id=${keyId}&cursor=%2541`, { key })).status).toBe(400);
  expect((await call("GET /key/info", { key })).status).toBe(200);
});
