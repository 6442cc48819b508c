import { describe, expect, test } from "vitest";
import { app } from "../../edge/app.ts";
import { configOf } from "../../edge/env.ts";
import { forgetKey } from "../../edge/keys/known-keys.ts";
import { formatApiKey, newApiKey } from "../../shared/crypto/api-key.ts";
import { generateSigningKey } from "../../shared/crypto/signing.ts";
import { until } from "../helpers/until.ts";
import { ask, newPayer, priceOf } from "./x402/payer.ts";
import {
  type Answer,
  type Call,
  call,
  env,
  newConsumer,
  operatorKey,
} from "./routes/edge-client.ts";
import { newPerson } from "./routes/people.ts";
import { newModel, serve } from "./world.ts";

/*
 * How often may be called, by the counters of the runtime under limits that a test reaches: those
 * of `fewCalls` in vitest.config.ts. Each counts from one full minute to the next, so that a test
 * that meets that moment is let through twice as often.
 */

const callsOfCaller = 8;
const callsOfOperator = 60;
const triesOfAddress = 5;

/** Calls until it is refused for having called too often; gives how often it was let through. */
async function untilTooMany(most: number, next: () => Promise<Answer>): Promise<number> {
  for (let through = 0; through <= 2 * most; through++) {
    const { status, json, headers } = await next();
    if (status !== 429) continue;
    expect(json).toMatchObject({
      error: { code: "rate_limit_exceeded", type: "rate_limit_error", param: null },
    });
    expect(headers.get("retry-after")).toBe("60");
    expect(headers.get("x-should-retry")).toBe("true");
    return through;
  }
  throw new Error(`It was let through more than ${2 * most} times`);
}

let addresses = 0;

/** An address of a test's own, as Cloudflare tells it. */
function newAddress(): Record<string, string> {
  addresses += 1;
  return { "cf-connecting-ip": `192.0.2.${addresses}` };
}

const route = "GET /api/v1/account";
const strangeKey = () => formatApiKey(newApiKey("test"));

describe("a known caller", () => {
  test("may manage so often in a minute, by all keys of its account together", async () => {
    const [{ accountId, key }, other] = [await newConsumer(), await newConsumer()];
    const body = { account_id: accountId, name: "second", scopes: ["read-only"] };
    const second = String((await call("POST /api/v1/keys", { body })).json["key"]);
    const keys = [key, second];
    let calls = 0;
    const through = await untilTooMany(callsOfCaller, () => {
      calls += 1;
      return call(route, { key: keys[calls % 2] ?? key });
    });
    expect(through).toBeGreaterThanOrEqual(callsOfCaller);
    expect((await call(route, { key: other.key })).status).toBe(200);
  });

  test("is counted where it lists what can be asked for, too", async () => {
    const { key } = await newConsumer();
    await untilTooMany(callsOfCaller, () => call("GET /v1/models", { key }));
  });

  test("is not counted where it runs inference", async () => {
    const { key } = await newConsumer();
    await untilTooMany(callsOfCaller, () => call(route, { key }));
    const body = { model: "nobody-has-it", messages: [{ role: "user", content: "hi" }] };
    for (let tasks = 0; tasks < 3 * callsOfCaller; tasks++) {
      expect((await call("POST /v1/chat/completions", { key, body })).status).toBe(404);
    }
  });

  test("who operates the network may call more often, and not without end", async () => {
    const { key } = await newConsumer("operator");
    const through = await untilTooMany(callsOfOperator, () => call(route, { key }));
    expect(through).toBeGreaterThanOrEqual(callsOfOperator);
  });

  test("who is signed in is counted apart from the keys of their account", async () => {
    const { token } = await newPerson();
    await untilTooMany(callsOfCaller, () => call("GET /api/v1/me", { key: token }));
    expect((await call("GET /api/v1/me", { key: (await newPerson()).token })).status).toBe(200);
  });
});

describe("an address", () => {
  test.each<[string, () => Call]>([
    ["without a key", () => ({ key: null })],
    ["with keys that nobody has", () => ({ key: strangeKey() })],
    ["with mistyped keys", () => ({ key: `${operatorKey.slice(0, -1)}!` })],
    ["with sessions that nobody signed", () => ({ key: "a.b.c" })],
  ])("may call %s so often, and a good key goes on", async (_how, wrong) => {
    const { key } = await newConsumer();
    const headers = newAddress();
    expect((await call(route, { key, headers })).status).toBe(200);
    const through = await untilTooMany(triesOfAddress, () => call(route, { ...wrong(), headers }));
    expect(through).toBeGreaterThanOrEqual(triesOfAddress);
    expect((await call(route, { key, headers })).status).toBe(200);
    expect((await call(route, { ...wrong(), headers: newAddress() })).status).toBe(401);
  });

  test("that used up its tries costs the registry no more questions for a while", async () => {
    const { key, keyId } = await newConsumer();
    const headers = newAddress();
    await untilTooMany(triesOfAddress, () => call(route, { key: strangeKey(), headers }));
    // As in an isolate that has never seen it.
    forgetKey(keyId);
    expect((await call(route, { key, headers })).status).toBe(429);
    expect((await call(route, { key, headers: newAddress() })).status).toBe(200);
  });

  test("may sign in so often, and one network of IPv6 is one address", async () => {
    const { key } = await generateSigningKey();
    const from = (address: string) =>
      call("POST /api/v1/auth/challenge", {
        key: null,
        body: { public_key: key.publicKey },
        headers: { "cf-connecting-ip": address },
      });
    let calls = 0;
    await untilTooMany(triesOfAddress, () => from(`2001:db8::${(calls += 1)}`));
    expect((await from("2001:db8:0:1::1")).status).toBe(200);
  });

  test("may guess at invitations so often, whoever it says it is", async () => {
    const headers = newAddress();
    const body = { secret: "octo_inv_mistyped" };
    await untilTooMany(triesOfAddress, async () => {
      const { token: key } = await newPerson();
      return call("POST /api/v1/invitations/accept", { key, body, headers });
    });
  });

  test("may tell of deposits without a secret so often", async () => {
    const headers = { ...newAddress(), "webhook-id": "msg_1", "webhook-timestamp": "1" };
    await untilTooMany(triesOfAddress, () =>
      call("POST /api/v1/deposits/notices", { key: null, text: "{}", headers }),
    );
  });

  test("may send payments that cannot be read so often, and ask for prices as it likes", async () => {
    const headers = newAddress();
    for (let asked = 0; asked < 3 * triesOfAddress; asked++) {
      expect((await ask("nobody-has-it", headers)).status).toBe(404);
    }
    const signed = { ...headers, "payment-signature": "nonsense" };
    await untilTooMany(triesOfAddress, () => ask("nobody-has-it", signed));
  });

  test("may sign too little so often", async () => {
    const model = newModel();
    await serve(model);
    const asked = await until("it has a price", async () => {
      const answer = await ask(model);
      return answer.status === 402 && answer;
    });
    const payer = await newPayer();
    const signed = await payer.sign(priceOf(asked), { value: "1" });
    const headers = { ...newAddress(), ...signed };
    const through = await untilTooMany(triesOfAddress, async () => {
      const answer = await ask(model, headers);
      expect([402, 429]).toContain(answer.status);
      return answer;
    });
    expect(through).toBeGreaterThanOrEqual(triesOfAddress);
  });
});

describe("the counters", () => {
  const waitUntil = () => {};
  const execution = { waitUntil, passThroughOnException: waitUntil } as unknown as ExecutionContext;
  const models = (bindings: object) => {
    const headers = { authorization: `Bearer ${operatorKey}` };
    return app.request("/v1/models", { headers }, { ...env, ...bindings }, execution);
  };

  test("that fail let everybody through", async () => {
    const broken = { limit: () => Promise.reject(new Error("the counter is away")) };
    expect((await models({ CALLS_BY_OPERATOR: broken })).status).toBe(200);
  });

  test("that are missing keep the edge from starting, unless it is to go without", async () => {
    const { CALLS_BY_CALLER: _one, TRIES_BY_ADDRESS: _other, ...rest } = env;
    const why = "Cannot start: CALLS_BY_CALLER, TRIES_BY_ADDRESS must be rate limiting bindings";
    expect(() => configOf(rest)).toThrow(why);
    expect(() => configOf({ ...env, TRIES_BY_ADDRESS: {} as RateLimit })).toThrow(
      "Cannot start: TRIES_BY_ADDRESS must be a rate limiting binding",
    );
    expect(configOf({ ...rest, OCTO_RATES: "off" }).rates).toBeNull();
    expect(() => configOf({ ...env, OCTO_RATES: "none" })).toThrow('must be "on" or "off"');
  });
});
