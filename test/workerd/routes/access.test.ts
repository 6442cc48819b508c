import { beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { apiKeyHash, formatApiKey, newApiKey } from "../../../shared/crypto/api-key.ts";
import { createApiKey } from "../../../edge/db/people/api-keys.ts";
import { configOf } from "../../../edge/env.ts";
import { accountObject } from "../../../edge/objects.ts";
import type { RouteDescription } from "../../../edge/openapi/description.ts";
import { descriptions } from "../../../edge/routes/descriptions.ts";
import { isLetIn, type KnownCaller, newCallers, wrongSessions } from "./callers.ts";
import { call, env, newConsumer, openDatabase, refusal } from "./edge-client.ts";
import {
  callOn,
  exampleBody,
  fieldsOf,
  makesWhatItNames,
  newBelongings,
  resourceOf,
  unknownIds,
} from "./route-samples.ts";

const guarded = descriptions.filter(({ access }) => access !== "anyone");

/** Fields that are nobody's to send, wherever a body does not have them. */
const forbiddenFields = [
  "account_id",
  "accepted_by",
  "access",
  "archived_at",
  "balance_micros",
  "concurrency_max",
  "counts",
  "created_at",
  "earned_micros",
  "held_micros",
  "id",
  "kind",
  "level",
  "limits",
  "object",
  "permissions",
  "person_id",
  "revoked_at",
  "role",
  "scopes",
  "secret_hash",
  "status",
  "verification",
];

/** What workers get is theirs to know: these bodies pass on fields that the edge does not. */
const looseBodies = [
  "/v1/chat/completions",
  "/v1/completions",
  "/v1/embeddings",
  "/v1/rerank",
  "/v1/classify",
  "/v1/audio/transcriptions",
  "/api/v1/deposits/notices",
  "/v1/images/generations",
  "/api/v1/route",
];

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

/** Keys that are wrong each in its way, by a text a call: ids are locked in time. */
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
let wrongTokens: Record<string, string>;
let callers: readonly KnownCaller[];
let other: readonly KnownCaller[];

beforeAll(async () => {
  [wrong, wrongTokens, callers, other] = await Promise.all([
    wrongKeys(),
    wrongSessions(),
    newCallers(),
    newCallers(),
  ]);
});

async function answersTo(route: RouteDescription, keys: readonly string[]) {
  const method = route.body === undefined ? {} : { body: {} };
  const answers = new Set<string>();
  for (const key of keys) {
    const { status, text } = await call(callOn(route, unknownIds), { ...method, key });
    answers.add(`${status} ${text}`);
  }
  return [...answers];
}

describe.each(guarded.map((route) => [`${route.method} ${route.path}`, route] as const))(
  "%s",
  (_, route) => {
    const method = route.body === undefined ? {} : { body: {} };

    test("a caller without a key is refused", async () => {
      const error = await refusal(callOn(route, unknownIds), { ...method, key: null });
      expect(error).toMatchObject({ status: 401, code: "invalid_api_key" });
    });

    test("every wrong key gets the same answer, and every wrong session", async () => {
      const wrongTexts = Object.values(wrong).map((text) => text());
      for (const keys of [wrongTexts, Object.values(wrongTokens)]) {
        const answers = await answersTo(route, keys);
        expect(answers).toHaveLength(1);
        expect(answers[0]).toMatch(/^401 .*invalid_api_key/);
      }
    });

    test("of all roles and scopes those are let in that its access says", async () => {
      // Wrong in what it says, so that nothing happens where it is let in.
      const body = route.body === undefined ? {} : { body: { "no such field": 1 } };
      const found: Record<string, string> = {};
      const expected: Record<string, string> = {};
      for (const caller of callers) {
        const { status } = await call(callOn(route, unknownIds), { ...body, key: caller.key });
        found[caller.name] = status === 403 ? "refused" : status === 401 ? "unknown" : "let in";
        expected[caller.name] = isLetIn(route, caller) ? "let in" : "refused";
      }
      expect(found).toEqual(expected);
    });

    const namesOne = route.path.includes(":") && !makesWhatItNames(route);
    test.runIf(namesOne)("what does not exist is not found", async () => {
      const body = exampleBody(route);
      const options = body === undefined ? {} : { body };
      const caller = callers.find((one) => isLetIn(route, one));
      const path = callOn(route, unknownIds);
      expect((await refusal(path, { ...options, key: caller?.key ?? null })).status).toBe(404);
    });
  },
);

/** What is everybody's to see: their addresses and amounts go onto a chain. */
const publicResources = ["payouts"];
const owned = guarded.filter((route) => {
  const resource = resourceOf(route);
  const isPublic = resource === null || publicResources.includes(resource);
  const isOwned = !isPublic && !makesWhatItNames(route);
  return isOwned && route.access !== "network:operate";
});

describe.each(owned.map((route) => [`${route.method} ${route.path}`, route] as const))(
  "%s",
  (_, route) => {
    test("another account's is not found, by whoever is let in; one's own is", async () => {
      const { owner, ids } = await newBelongings();
      const path = callOn(route, ids);
      const body = exampleBody(route);
      const options = body === undefined ? {} : { body };
      const strangers = other.filter((one) => isLetIn(route, one));
      // An operator's word on keys and accounts goes for all of them.
      const own = strangers.filter((one) => !one.permissions.has("network:operate"));
      expect(own).not.toEqual([]);
      for (const { key } of own) {
        expect((await refusal(path, { ...options, key })).status).toBe(404);
      }
      // What is left of a stream is a hub's to know, and there was none.
      if (route.path.endsWith("/stream")) return;
      const { status } = await call(path, { ...options, key: owner.token });
      expect(status).toBe(route.status ?? 200);
    });
  },
);

const bodied = descriptions.filter(({ body }) => body !== undefined);

test("bodies take no other fields than theirs, but those that workers are to read", () => {
  const loose = bodied.filter(({ body }) => body !== undefined && !fieldsOf(body).isStrict);
  expect(loose.map(({ path }) => path).toSorted()).toEqual(looseBodies.toSorted());
});

const strict = bodied.filter(({ path }) => !looseBodies.includes(path));

describe.each(strict.map((route) => [`${route.method} ${route.path}`, route] as const))(
  "%s",
  (_, route) => {
    test("what is not the caller's to say is refused by name", async () => {
      const { fields } = fieldsOf(route.body ?? z.never());
      const caller = callers.find((one) => isLetIn(route, one));
      const key = route.access === "anyone" ? null : (caller?.key ?? null);
      const refused: Record<string, string> = {};
      const foreign = forbiddenFields.filter((field) => !fields.includes(field));
      for (const field of foreign) {
        const body = { ...exampleBody(route), [field]: 1 };
        const { status, param } = await refusal(callOn(route, unknownIds), { key, body });
        refused[field] = `${status} ${param}`;
      }
      expect(refused).toEqual(Object.fromEntries(foreign.map((field) => [field, `400 ${field}`])));
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
