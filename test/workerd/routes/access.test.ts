import { beforeAll, describe, expect, test } from "vitest";
import { apiKeyHash, formatApiKey, newApiKey } from "../../../shared/crypto/api-key.ts";
import { newId } from "../../../shared/ids.ts";
import { type Permission, permissionsOf } from "../../../shared/permissions.ts";
import { createApiKey } from "../../../edge/db/api-keys.ts";
import { configOf } from "../../../edge/env.ts";
import { accountObject } from "../../../edge/objects.ts";
import type { RouteDescription } from "../../../edge/openapi/description.ts";
import { descriptions } from "../../../edge/routes/descriptions.ts";
import { call, env, newConsumer, openDatabase, refusal } from "./edge-client.ts";

const guarded = descriptions.filter(({ access }) => access !== "anyone");

/** A call of a route on things that are not the caller's, with a body only where one is read. */
function foreignCall(route: RouteDescription): string {
  const idByResource: Record<string, string> = {
    accounts: newId("acct"),
    keys: "aaaaaaaa",
    key: "aaaaaaaa",
    team: newId("team"),
    workers: "A".repeat(43),
    tasks: newId("tsk"),
  };
  const [, resource = ""] = /([^/]+)\/:id/.exec(route.path) ?? [];
  const path = route.path
    .replace(":id", idByResource[resource] ?? "")
    .replace(/:name\{.*\}$/, "a-model");
  const query = path.endsWith("/stream") ? "?last_event_id=weur:0:0" : "";
  return `${route.method.toUpperCase()} ${path}${query}`;
}

async function expiredKey(accountId: string): Promise<string> {
  const key = newApiKey("test");
  await using db = openDatabase();
  await createApiKey(db, {
    id: key.id,
    accountId,
    name: "old",
    scopes: ["operator"],
    teamId: null,
    projectId: null,
    models: null,
    addresses: null,
    limits: null,
    lastUsedAt: null,
    replaces: null,
    env: "test",
    secretHash: await apiKeyHash(key, configOf(env).keyPepper),
    createdAt: 1_000,
    expiresAt: 2_000,
  });
  await accountObject(env, accountId).setKey(key.id, "active");
  return formatApiKey(key);
}

/** Keys that are wrong each in its way, as text or by a text a call: ids are locked in time. */
async function wrongKeys(): Promise<Record<string, () => string>> {
  const revoked = await newConsumer("operator");
  await call(`DELETE /api/v1/keys/${revoked.keyId}`);
  const expired = await expiredKey((await newConsumer()).accountId);
  const ids = await Promise.all(guarded.map(async () => (await newConsumer()).keyId));
  const { secret } = newApiKey("test");
  return {
    malformed: () => "octo_sk_test_x",
    "another maker's": () => "sk-proj-0123456789",
    mistyped: () => `${formatApiKey(newApiKey("test")).slice(0, -1)}!`,
    unknown: () => formatApiKey(newApiKey("test")),
    "known by id with another secret": () =>
      formatApiKey({ env: "test", id: ids.pop() ?? "", secret }),
    "of another network": () => formatApiKey(newApiKey("live")),
    revoked: () => revoked.key,
    expired: () => expired,
  };
}

let wrong: Record<string, () => string>;
let consumer: Awaited<ReturnType<typeof newConsumer>>;

beforeAll(async () => {
  wrong = await wrongKeys();
  consumer = await newConsumer();
});

describe.each(guarded.map((route) => [`${route.method} ${route.path}`, route] as const))(
  "%s",
  (_, route) => {
    const method = route.body === undefined ? {} : { body: {} };

    test("a caller without a key is refused", async () => {
      const error = await refusal(foreignCall(route), { ...method, key: null });
      expect(error).toMatchObject({ status: 401, code: "invalid_api_key" });
    });

    test("every wrong key gets the same answer", async () => {
      const answers = new Set<string>();
      for (const wrongKey of Object.values(wrong)) {
        const key = wrongKey();
        const { status, text } = await call(foreignCall(route), { ...method, key });
        answers.add(`${status} ${text}`);
      }
      expect(answers.size).toBe(1);
      expect([...answers][0]).toMatch(/^401 .*invalid_api_key/);
    });

    test.runIf(route.access === "network:operate")("a consumer is refused", async () => {
      const error = await refusal(foreignCall(route), { ...method, key: consumer.key });
      expect(error).toMatchObject({ status: 403, code: "insufficient_scope" });
    });

    test.runIf(route.path.includes(":"))("what does not exist is not found", async () => {
      const bodies: Record<string, unknown> = {
        changeAccount: { name: "Bob" },
        giveCredit: { amount_micros: 1 },
        changeKey: { name: "desk" },
        rotateKey: {},
        updateVirtualKey: { rpm_limit: 1 },
        updateVirtualTeam: { name: "search" },
      };
      const body = bodies[route.name];
      const { access } = route;
      const isOperators = permissionsOf(["operator"]).has(access as Permission);
      const key = isOperators || access === "any key" ? {} : { key: consumer.key };
      const options = { ...key, ...(body === undefined ? {} : { body }) };
      expect((await refusal(foreignCall(route), options)).status).toBe(404);
    });
  },
);

test("a key revoked at its Account is refused at once, whatever an isolate remembers", async () => {
  const { accountId, keyId, key } = await newConsumer();
  for (const route of ["GET /api/v1/account", "GET /v1/models"]) {
    expect((await call(route, { key })).status).toBe(200);
  }
  await accountObject(env, accountId).setKey(keyId, "revoked");
  for (const route of ["GET /api/v1/account", "GET /v1/models"]) {
    expect((await call(route, { key })).status).toBe(401);
  }
});
