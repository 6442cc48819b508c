import { expect, test } from "vitest";
import { forgetKey } from "../../../edge/keys/known-keys.ts";
import { formatApiKey, newApiKey } from "../../../shared/crypto/api-key.ts";
import { until } from "../../helpers/until.ts";
import { call, newConsumer } from "../routes/edge-client.ts";

const route = "GET /api/v1/account";

/** A key of this id with a secret that somebody made up. */
function guess(id: string): string {
  return formatApiKey({ ...newApiKey("test"), id });
}

async function guessFiveTimes(id: string): Promise<void> {
  for (let tries = 0; tries < 5; tries++) {
    expect((await call(route, { key: guess(id) })).status).toBe(401);
  }
}

test("five wrong secrets lock an id, and a key in use goes on working", async () => {
  const { keyId, key } = await newConsumer();
  expect((await call(route, { key })).status).toBe(200);
  await guessFiveTimes(keyId);
  const locked = await call(route, { key: guess(keyId) });
  expect(locked.status).toBe(429);
  expect(locked.json).toMatchObject({ error: { code: "rate_limit_exceeded" } });
  const waitS = Number(locked.headers.get("retry-after"));
  expect(waitS).toBeGreaterThan(290);
  expect(waitS).toBeLessThanOrEqual(300);
  expect((await call(route, { key })).status).toBe(200);
});

test("an id that nobody has is locked like any other", async () => {
  const { id } = newApiKey("test");
  await guessFiveTimes(id);
  expect((await call(route, { key: guess(id) })).status).toBe(429);
});

test("a key that was used elsewhere within a day is not locked for its owner here", async () => {
  const { keyId, key } = await newConsumer();
  expect((await call(route, { key })).status).toBe(200);
  await until("its use is in the registry", async () => {
    const { json } = await call(`GET /api/v1/keys/${keyId}`);
    return json["last_used_at"] !== null;
  });
  // As in an isolate that has never seen it.
  forgetKey(keyId);
  await guessFiveTimes(keyId);
  expect((await call(route, { key: guess(keyId) })).status).toBe(429);
  expect((await call(route, { key })).status).toBe(200);
});

test("a key that was never used is locked with its id, and the right secret is not told", async () => {
  const { keyId, key } = await newConsumer();
  await guessFiveTimes(keyId);
  const [wrong, right] = [await call(route, { key: guess(keyId) }), await call(route, { key })];
  expect(right.status).toBe(429);
  expect(right.text).toBe(wrong.text);
});

test("mistyped keys and keys that have ended lock nothing", async () => {
  const { keyId, key } = await newConsumer();
  const mistyped = `${key.slice(0, -1)}${key.endsWith("0") ? "1" : "0"}`;
  for (let tries = 0; tries < 7; tries++) {
    expect((await call(route, { key: mistyped })).status).toBe(401);
  }
  expect((await call(route, { key })).status).toBe(200);
  await call(`DELETE /api/v1/keys/${keyId}`);
  for (let tries = 0; tries < 7; tries++) expect((await call(route, { key })).status).toBe(401);
});
