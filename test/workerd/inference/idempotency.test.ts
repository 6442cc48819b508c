import { evictDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { type ApiKeyChange, changeApiKey } from "../../../edge/db/people/api-keys.ts";
import { accountObject } from "../../../edge/objects.ts";
import { newId } from "../../../shared/ids.ts";
import { until } from "../../helpers/until.ts";
import { call, env, openDatabase } from "../routes/edge-client.ts";
import { readStream } from "../sse.ts";
import {
  answering,
  chat,
  type ChatOptions,
  type Consumer,
  ledgerSum,
  newFunded,
  newModel,
  serve,
  untilListed,
  untilSettled,
} from "../world.ts";

/** A request under an idempotency key, sent as often as wanted. */
function keyed(consumer: Consumer, model: string, options: ChatOptions = {}) {
  const key = newId("req");
  return (body: Record<string, unknown> = {}) =>
    chat(consumer, model, {
      ...options,
      headers: { "idempotency-key": key },
      body: { ...options.body, ...body },
    });
}

async function codeOf(response: Response): Promise<string> {
  const { error } = (await response.json()) as { error: { code: string } };
  return `${response.status} ${error.code}`;
}

async function world(...tokens: readonly string[]) {
  const model = newModel();
  const consumer = await newFunded();
  const worker = await serve(model, { script: answering(...tokens) });
  await untilListed(model);
  return { model, consumer, worker };
}

describe("a request under an Idempotency-Key", () => {
  test("that was answered is answered the same again, and billed once", async () => {
    const { model, consumer, worker } = await world("only ", "once");
    const send = keyed(consumer, model);
    const first = await send();
    const text = await first.text();
    const billed = (await untilSettled(consumer)).balance;
    const again = await until("the answer is kept", async () => {
      const response = await send();
      return response.status === 200 && response;
    });
    expect(await again.text()).toBe(text);
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    expect(again.headers.get("x-octo-task")).toBe(first.headers.get("x-octo-task"));
    expect(again.headers.get("x-request-id")).not.toBe(first.headers.get("x-request-id"));
    expect(worker.attempts).toHaveLength(1);
    expect((await untilSettled(consumer)).balance).toBe(billed);
  });

  test("that was answered before its account slept is answered the same again", async () => {
    const { model, consumer, worker } = await world("kept");
    const send = keyed(consumer, model);
    const text = await (await send()).text();
    await untilSettled(consumer);
    await until("the answer is kept", async () => (await send()).status === 200);
    await evictDurableObject(accountObject(env, consumer.accountId));
    expect(await (await send()).text()).toBe(text);
    expect(worker.attempts).toHaveLength(1);
  });

  test("is repeated whole where it was streamed", async () => {
    const { model, consumer, worker } = await world("a ", "b ", "c");
    const send = keyed(consumer, model, { stream: true });
    const first = await (await send()).text();
    const again = await until("the answer is kept", async () => {
      const response = await send();
      return response.status === 200 && response;
    });
    expect(again.headers.get("content-type")).toContain("text/event-stream");
    const text = await again.text();
    expect(text).toBe(first);
    const read = await readStream(new Response(text));
    expect(read).toMatchObject({ text: "a b c", isDone: true });
    expect(worker.attempts).toHaveLength(1);
    await untilSettled(consumer);
  });

  test("is refused with another body", async () => {
    const { model, consumer } = await world("x");
    const send = keyed(consumer, model);
    await (await send()).text();
    expect(await codeOf(await send({ temperature: 0.5 }))).toBe("409 idempotency_conflict");
    await untilSettled(consumer);
  });

  test("is refused while the first is running", async () => {
    const model = newModel();
    const consumer = await newFunded();
    const worker = await serve(model);
    await untilListed(model);
    const send = keyed(consumer, model);
    const first = send();
    const attempt = await worker.attempt();
    expect(await codeOf(await send())).toBe("409 idempotency_conflict");
    await attempt.answer("done");
    expect((await first).status).toBe(200);
    await untilSettled(consumer);
  });

  test("is done afresh where it had failed", async () => {
    const model = newModel();
    const consumer = await newFunded();
    const send = keyed(consumer, model);
    expect(await codeOf(await send())).toBe("404 model_not_found");
    const worker = await serve(model, { script: answering("now") });
    await untilListed(model);
    const response = await send();
    expect(response.headers.get("idempotency-replayed")).toBeNull();
    expect(response.status).toBe(200);
    expect(worker.attempts).toHaveLength(1);
    await untilSettled(consumer);
  });

  test("is done afresh where its stream broke off", async () => {
    const model = newModel();
    const consumer = await newFunded();
    const worker = await serve(model, {
      script: (attempt) => {
        attempt.delta("half ");
        if (attempt.worker.attempts.length > 1) void attempt.end();
        else attempt.fail("engine_failed", "the engine fell over");
      },
    });
    await untilListed(model);
    const send = keyed(consumer, model, { stream: true });
    expect(await readStream(await send())).toMatchObject({ isDone: false });
    const again = await until("the key is free", async () => {
      const response = await send();
      return response.status === 200 && response;
    });
    expect(await readStream(again)).toMatchObject({ text: "half ", isDone: true });
    expect(worker.attempts).toHaveLength(2);
    await untilSettled(consumer);
    expect(await ledgerSum()).toBe(0n);
  });

  test("belongs to its account: another account's key of the same name is its own", async () => {
    const { model, consumer, worker } = await world("mine");
    const other = await newFunded();
    const headers = { "idempotency-key": newId("req") };
    await (await chat(consumer, model, { headers })).text();
    const response = await chat(other, model, { headers });
    expect(response.headers.get("idempotency-replayed")).toBeNull();
    expect(worker.attempts).toHaveLength(2);
    await Promise.all([untilSettled(consumer), untilSettled(other)]);
  });

  test.each(["", "a b", "x".repeat(256)])("%j is no key", async (key) => {
    const headers = { "idempotency-key": key };
    const response = await chat(await newFunded(), newModel(), { headers });
    expect(await codeOf(response)).toBe("400 invalid_request");
  });
});

describe("an answer is not repeated", () => {
  /** An answer that is kept, and how it is asked for again. */
  async function kept() {
    const { model, consumer, worker } = await world("for ", "its asker");
    const headers = { "idempotency-key": newId("req") };
    const send = (as: Consumer = consumer) => chat(as, model, { headers });
    await (await send()).text();
    await until("the answer is kept", async () => (await send()).status === 200);
    await untilSettled(consumer);
    return { model, consumer, worker, send };
  }

  /** As another isolate changes a key: this one still remembers the settings of before. */
  async function changeElsewhere(of: Consumer, change: ApiKeyChange): Promise<void> {
    await using db = openDatabase();
    const key = { accountId: of.accountId, id: of.keyId, atMs: Date.now() };
    expect(await changeApiKey(db, key, change)).toBe(true);
    await accountObject(env, of.accountId).changeKey(of.keyId, change.expiresAt ?? null);
  }

  test("to a key that was revoked since", async () => {
    const { consumer, worker, send } = await kept();
    await accountObject(env, consumer.accountId).setKey(consumer.keyId, "revoked");
    expect(await codeOf(await send())).toBe("401 invalid_api_key");
    expect(worker.attempts).toHaveLength(1);
  });

  test("to a key that has expired since", async () => {
    const { consumer, send } = await kept();
    await changeElsewhere(consumer, { expiresAt: Date.now() });
    expect(await codeOf(await send())).toBe("401 invalid_api_key");
  });

  test("to a key of an account that was suspended since", async () => {
    const { consumer, send } = await kept();
    const { accountId } = consumer;
    await accountObject(env, accountId).open({ accountId, status: "suspended", concurrencyMax: 8 });
    expect(await codeOf(await send())).toBe("401 invalid_api_key");
  });

  test("to a key that may not ask for its model any more, and is again once it may", async () => {
    const { model, consumer, worker, send } = await kept();
    await changeElsewhere(consumer, { models: ["another"] });
    expect(await codeOf(await send())).toBe("403 insufficient_scope");
    await changeElsewhere(consumer, { models: ["another", model] });
    expect((await send()).headers.get("idempotency-replayed")).toBe("true");
    expect(worker.attempts).toHaveLength(1);
  });

  test("to another key of its account that may not ask for its model", async () => {
    const { consumer, send } = await kept();
    const body = { name: "narrow", scopes: ["inference"], models: ["another"] };
    const { json } = await call("POST /api/v1/keys", { key: consumer.key, body });
    const narrow = { ...consumer, keyId: String(json["id"]), key: String(json["key"]) };
    expect(await codeOf(await send(narrow))).toBe("403 insufficient_scope");
    expect((await send()).status).toBe(200);
  });
});
