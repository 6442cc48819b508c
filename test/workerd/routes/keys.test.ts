import { expect, test } from "vitest";
import { newId } from "../../../shared/ids.ts";
import { call, newConsumer, refusal } from "./edge-client.ts";

test("a key is shown once, works, and is never shown again", async () => {
  const { accountId, keyId, key } = await newConsumer();
  expect((await call("GET /api/v1/account", { key })).json).toMatchObject({ id: accountId });
  const list = await call(`GET /api/v1/keys?account_id=${accountId}`);
  expect(list.json["data"]).toMatchObject([{ id: keyId, name: "laptop", revoked_at: null }]);
  expect(list.text).not.toContain(key.split("_")[4]);
  expect(list.text).not.toContain("hash");
});

test("a revoked key is refused by the very next request and stays in the list", async () => {
  const { accountId, keyId, key } = await newConsumer();
  expect((await call("GET /api/v1/account", { key })).status).toBe(200);
  const revoked = await call(`DELETE /api/v1/keys/${keyId}`);
  expect(revoked.json).toEqual({ object: "key", id: keyId, revoked: true });
  expect((await call("GET /api/v1/account", { key })).status).toBe(401);
  expect((await call(`DELETE /api/v1/keys/${keyId}`)).status).toBe(200);
  const list = await call(`GET /api/v1/keys?account_id=${accountId}`);
  expect(list.json["data"]).toMatchObject([{ id: keyId, revoked_at: expect.any(String) }]);
});

test("an operator's key works on operators' routes", async () => {
  const { key } = await newConsumer("operator");
  expect((await call("GET /api/v1/accounts", { key })).status).toBe(200);
});

test("a key's end may be chosen, in any time zone, but not in the past", async () => {
  const { accountId } = await newConsumer();
  const made = await call("POST /api/v1/keys", {
    body: { account_id: accountId, name: "short", expires_at: "2999-01-01T01:00:00+01:00" },
  });
  expect(made.json["expires_at"]).toBe("2999-01-01T00:00:00.000Z");
  for (const expiresAt of ["2020-01-01T00:00:00Z", "tomorrow", 5]) {
    const error = await refusal("POST /api/v1/keys", {
      body: { account_id: accountId, name: "past", expires_at: expiresAt },
    });
    expect(error).toMatchObject({ status: 400, param: "expires_at" });
  }
});

test.each([
  ["an unknown field", { secret: "x" }, 400, "secret"],
  ["a role that is not one", { role: "king" }, 400, "role"],
  ["an account that does not exist", { account_id: newId("acct") }, 404, null],
])("%s is refused", async (_, change, status, param) => {
  const { accountId } = await newConsumer();
  const error = await refusal("POST /api/v1/keys", {
    body: { account_id: accountId, name: "laptop", ...change },
  });
  expect(error).toMatchObject({ status, param });
});

test("keys are listed of one account only", async () => {
  expect((await refusal("GET /api/v1/keys")).param).toBe("account_id");
  expect((await refusal(`GET /api/v1/keys?account_id=${newId("acct")}`)).status).toBe(404);
});
