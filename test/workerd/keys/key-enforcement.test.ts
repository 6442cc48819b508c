import { describe, expect, test } from "vitest";
import { changeApiKey, type ApiKeyChange } from "../../../edge/db/people/api-keys.ts";
import { accountObject } from "../../../edge/objects.ts";
import { until } from "../../helpers/until.ts";
import { call, env, openDatabase, refusal } from "../routes/edge-client.ts";
import {
  answering,
  chat,
  type Consumer,
  newFunded,
  newModel,
  serve,
  untilListed,
  untilSettled,
} from "../world.ts";

const path = "/api/v1/keys";

/** A key that a funded consumer makes for itself. */
async function keyOf(owner: Consumer, change: Record<string, unknown> = {}): Promise<Consumer> {
  const body = { name: "made", scopes: ["inference", "management", "read-only"], ...change };
  const made = await call(`POST ${path}`, { key: owner.key, body });
  expect(made.status).toBe(201);
  const [keyId, key] = [String(made.json["id"]), String(made.json["key"])];
  return { accountId: owner.accountId, keyId, key };
}

async function served(): Promise<string> {
  const model = newModel();
  await serve(model, { slots: 64, script: answering("one ", "two") });
  await untilListed(model);
  return model;
}

/** As another isolate changes it: this one still remembers the settings of before. */
async function changeElsewhere(of: Consumer, change: ApiKeyChange): Promise<void> {
  await using db = openDatabase();
  const key = { accountId: of.accountId, id: of.keyId, atMs: Date.now() };
  expect(await changeApiKey(db, key, change)).toBe(true);
  await accountObject(env, of.accountId).changeKey(of.keyId, change.expiresAt ?? null);
}

async function statusOf(response: Promise<Response>): Promise<number> {
  const answered = await response;
  await answered.text();
  return answered.status;
}

const from = (address: string) => ({ "cf-connecting-ip": address });

describe("a key that is limited to addresses", () => {
  test("works from those alone, by the connection and not by what a client says", async () => {
    const model = await served();
    const limited = await keyOf(await newFunded(), {
      addresses: ["192.0.2.0/24", "2001:db8::/32"],
    });
    for (const address of ["192.0.2.7", "::ffff:192.0.2.7", "2001:db8::7"]) {
      const headers = from(address);
      expect((await call("GET /v1/models", { key: limited.key, headers })).status).toBe(200);
      expect(await statusOf(chat(limited, model, { headers }))).toBe(200);
    }
    const strangers: Record<string, string>[] = [
      {},
      from("198.51.100.7"),
      from("2001:db9::7"),
      from("not an address"),
      { ...from("198.51.100.7"), "x-forwarded-for": "192.0.2.7", "x-real-ip": "192.0.2.7" },
    ];
    for (const headers of strangers) {
      const error = await refusal("GET /v1/models", { key: limited.key, headers });
      expect(error).toMatchObject({ status: 403, code: "insufficient_scope" });
      expect(await statusOf(chat(limited, model, { headers }))).toBe(403);
    }
  });
});

describe("a key that is limited to models", () => {
  test("asks for those alone, by name and with a strategy, and sees no others", async () => {
    const [model, other] = [await served(), await served()];
    const limited = await keyOf(await newFunded(), { models: [model] });
    expect(await statusOf(chat(limited, model))).toBe(200);
    expect(await statusOf(chat(limited, `${model}:cost`))).toBe(200);
    for (const name of [other, `${other}:cost`, "nobody-has-it", `sha256:${"a".repeat(64)}`]) {
      const response = await chat(limited, name);
      expect(response.status).toBe(403);
      const { error } = await response.json<{ error: { code: string; param: string } }>();
      expect(error).toMatchObject({ code: "insufficient_scope", param: "model" });
    }
    const body = { model: other, messages: [{ role: "user", content: "hi" }] };
    expect((await refusal("POST /api/v1/route", { key: limited.key, body })).param).toBe("model");
    const list = await call("GET /v1/models", { key: limited.key });
    expect(list.json["data"]).toMatchObject([{ id: model }]);
    expect((await call(`GET /v1/models/${model}`, { key: limited.key })).status).toBe(200);
    const hidden = await refusal(`GET /v1/models/${other}`, { key: limited.key });
    expect(hidden).toMatchObject({ status: 404, code: "model_not_found" });
  });
});

describe("settings that were changed elsewhere", () => {
  test("hold for the next task, though this isolate remembers those of before", async () => {
    const [model, other] = [await served(), await served()];
    const limited = await keyOf(await newFunded(), { models: [model] });
    expect(await statusOf(chat(limited, model))).toBe(200);
    expect(await statusOf(chat(limited, other))).toBe(403);
    await changeElsewhere(limited, { models: [other] });
    expect(await statusOf(chat(limited, model))).toBe(403);
    expect(await statusOf(chat(limited, other))).toBe(200);
    expect(await statusOf(chat(limited, model))).toBe(403);
    // Old settings refuse no longer what new ones allow.
    await changeElsewhere(limited, { models: [model, other] });
    expect(await statusOf(chat(limited, model))).toBe(200);
    await changeElsewhere(limited, { addresses: ["192.0.2.1"] });
    expect(await statusOf(chat(limited, other))).toBe(403);
    expect(await statusOf(chat(limited, other, { headers: from("192.0.2.1") }))).toBe(200);
  });

  test("hold for every other route", async () => {
    const limited = await keyOf(await newFunded());
    expect((await call("GET /v1/models", { key: limited.key })).status).toBe(200);
    await changeElsewhere(limited, { addresses: ["192.0.2.1"] });
    expect((await call("GET /v1/models", { key: limited.key })).status).toBe(403);
    await changeElsewhere(limited, { addresses: null });
    expect((await call("GET /v1/models", { key: limited.key })).status).toBe(200);
  });

  test("end a key in its Account: neither a task nor a route begins", async () => {
    const model = await served();
    const ending = await keyOf(await newFunded());
    expect(await statusOf(chat(ending, model))).toBe(200);
    await changeElsewhere(ending, { expiresAt: Date.now() });
    expect(await statusOf(chat(ending, model))).toBe(401);
    expect((await call("GET /v1/models", { key: ending.key })).status).toBe(401);
    await changeElsewhere(ending, { expiresAt: Date.now() + 60_000 });
    expect((await call("GET /v1/models", { key: ending.key })).status).toBe(200);
    await changeElsewhere(ending, { expiresAt: Date.now() });
    const object = accountObject(env, ending.accountId);
    expect(await object.useKey(ending.keyId, 3)).toEqual({ kind: "ended" });
    const ask = { id: "lea_1", keyId: ending.keyId, limit: 9n, tasks: 8, taskLimit: 1n };
    expect(await object.lease(ask, 3)).toBeNull();
    expect(await object.lease({ ...ask, id: "lea_2" })).toBeNull();
  });
});

describe("a key that is rotated", () => {
  test("goes on for the grace beside the new one, which has everything of it", async () => {
    const model = await served();
    const old = await keyOf(await newFunded(), {
      models: [model],
      limits: { concurrency: 9 },
      addresses: ["192.0.2.0/24"],
    });
    const headers = from("192.0.2.1");
    const beforeMs = Date.now();
    const rotated = await call(`POST ${path}/${old.keyId}/rotate`, {
      key: old.key,
      headers,
      body: {},
    });
    expect(rotated.status).toBe(201);
    const { key, replaced, ...row } = rotated.json;
    expect(row).toMatchObject({
      name: "made",
      scopes: ["inference", "management", "read-only"],
      models: [model],
      limits: { concurrency: 9 },
      addresses: ["192.0.2.0/24"],
      replaces: old.keyId,
      expires_at: null,
    });
    const ends = Date.parse(String((replaced as Record<string, unknown>)["expires_at"]));
    expect(ends - beforeMs).toBeGreaterThanOrEqual(86_400_000);
    expect(ends - beforeMs).toBeLessThan(86_460_000);
    const fresh = { ...old, keyId: String(row["id"]), key: String(key) };
    for (const one of [old, fresh]) expect(await statusOf(chat(one, model, { headers }))).toBe(200);
    expect(fresh.key).not.toContain(old.key.split("_")[4]);
  });

  test("ends at once where there is no grace", async () => {
    const model = await served();
    const old = await keyOf(await newFunded());
    expect(await statusOf(chat(old, model))).toBe(200);
    const route = `POST ${path}/${old.keyId}/rotate`;
    const rotated = await call(route, { key: old.key, body: { grace_s: 0 } });
    expect(await statusOf(chat(old, model))).toBe(401);
    expect((await call("GET /v1/models", { key: old.key })).status).toBe(401);
    const again = await refusal(route, { body: {} });
    expect(again).toMatchObject({ status: 409, code: "conflict" });
    const fresh = { ...old, key: String(rotated.json["key"]) };
    expect(await statusOf(chat(fresh, model))).toBe(200);
  });
});

test("revoking is final: whoever asks after its answer is refused, however many ask", async () => {
  const model = await served();
  const owner = await newFunded();
  const doomed = await keyOf(owner);
  let isRevoked = false;
  const outcomes: { readonly late: boolean; readonly status: number }[] = [];
  const ask = async () => {
    for (let lateAsked = 0; lateAsked < 3;) {
      const late = isRevoked;
      if (late) lateAsked += 1;
      const both = [chat(doomed, model), chat(doomed, model, { stream: true })];
      for (const response of both) outcomes.push({ late, status: await statusOf(response) });
      const { status } = await call("GET /v1/models", { key: doomed.key });
      outcomes.push({ late, status });
      // The runtime looks at its timers where nothing else is to do, and leases end by them.
      await new Promise((resolve) => setTimeout(resolve));
    }
  };
  const askers = Array.from({ length: 6 }, ask);
  await until("the key is in use", async () => outcomes.length > 60);
  const revoked = await call(`DELETE ${path}/${doomed.keyId}`, { key: owner.key });
  isRevoked = true;
  expect(revoked.status).toBe(200);
  await Promise.all(askers);
  const statuses = (late: boolean) =>
    new Set(outcomes.filter((one) => one.late === late).map(({ status }) => status));
  expect(statuses(false)).toContain(200);
  expect([...statuses(true)]).toEqual([401]);
  expect(await statusOf(chat(owner, model))).toBe(200);
  await untilSettled(owner);
});

test("when a key was last used is known to the minute", async () => {
  const model = await served();
  const owner = await newFunded();
  const used = await keyOf(owner);
  const startMs = Date.now();
  expect(await statusOf(chat(used, model))).toBe(200);
  const lastUsed = await until("the use is in the registry", async () => {
    const { json } = await call(`GET ${path}/${used.keyId}`);
    return json["last_used_at"] as string | null;
  });
  const ms = Date.parse(lastUsed);
  expect(ms % 60_000).toBe(0);
  expect(ms).toBeGreaterThan(startMs - 60_000);
});
