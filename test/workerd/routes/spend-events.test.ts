import { expect, test } from "vitest";
import { eventId, framedEventId, keyUuid } from "../../../shared/spend-event.ts";
import { sha256Hex } from "../../../shared/crypto/bytes.ts";
import { call, newConsumer, refusal } from "./edge-client.ts";
import {
  answering,
  chat,
  type Consumer,
  newFunded,
  newModel,
  serve,
  storedTask,
  untilListed,
} from "../world.ts";

const path = "/api/v1/spend/events";

async function events({ key }: Consumer, query = "") {
  const { status, json } = await call(`GET ${path}${query}`, { key });
  expect(status).toBe(200);
  return { data: json["data"] as Record<string, unknown>[], next: json["next_cursor"] };
}

test("each settled task is one event, whose ids anybody can work out", async () => {
  const model = newModel();
  await serve(model, { slots: 8, script: answering("one ", "two") });
  await untilListed(model);
  const owner = await newFunded();
  const body = { name: "bot", scopes: ["inference"] };
  const made = await call("POST /api/v1/keys", { key: owner.key, body });
  const bot = { ...owner, keyId: String(made.json["id"]), key: String(made.json["key"]) };
  const ids: string[] = [];
  for (const asker of [owner, bot, bot]) {
    const response = await chat(asker, model);
    await response.text();
    ids.push(response.headers.get("x-octo-task") ?? "");
  }
  expect(await chat(bot, "nobody-has-it").then(({ status }) => status)).toBe(404);
  const stored = await Promise.all(ids.map((id) => storedTask(owner, id)));

  const { data } = await events(owner);
  expect(data.map((event) => event["request_id"])).toEqual(ids.toReversed());
  const [, , third] = stored;
  const receipt = JSON.parse(third?.receipts[0]?.body ?? "{}") as Record<string, number>;
  const { input_micros_per_million: input, output_micros_per_million: output } = receipt;
  const prices = `[{"input_micros_per_million":${input},"output_micros_per_million":${output}}]`;
  const [first] = data;
  const expected = {
    requestId: ids[2] ?? "",
    keyUuid: await keyUuid(bot.keyId),
    provider: "cipherocto",
    model,
    inputTokens: third?.task.promptTokens ?? -1,
    outputTokens: third?.task.completionTokens ?? -1,
    pricingHash: third?.task.tariff ?? (await sha256Hex(prices)),
    tokenSource: "provider",
  } as const;
  expect(first).toEqual({
    object: "spend.event",
    event_id: await eventId(expected),
    framed_event_id: await framedEventId(expected),
    request_id: expected.requestId,
    key_id: bot.keyId,
    key_uuid: expected.keyUuid,
    team_id: null,
    provider: "cipherocto",
    model,
    input_tokens: expected.inputTokens,
    output_tokens: expected.outputTokens,
    cost_amount: Number(third?.task.costMicros),
    pricing_hash: expected.pricingHash,
    token_source: "provider_usage",
    timestamp: new Date(third?.task.endedAt ?? 0).toISOString(),
  });
  expect(new Set(data.map((event) => event["event_id"])).size).toBe(3);

  expect(await events(owner)).toEqual({ data, next: null });
  const ofBot = await events(owner, `?key_id=${bot.keyId}&limit=1`);
  const rest = await events(owner, `?key_id=${bot.keyId}&limit=1&cursor=${String(ofBot.next)}`);
  expect([...ofBot.data, ...rest.data]).toEqual(data.slice(0, 2));
  expect(rest.next).toBeNull();
  const info = await call("GET /key/info", { key: bot.key });
  const spent = data.slice(0, 2).reduce((sum, event) => sum + Number(event["cost_amount"]), 0);
  expect(info.json["current_spend"]).toBe(spent);
});

test("events are the account's own, and take the permission to read money", async () => {
  const [owner, other] = [await newConsumer(), await newConsumer()];
  expect((await events(other)).data).toEqual([]);
  const foreign = await refusal(`GET ${path}?account_id=${owner.accountId}`, { key: other.key });
  expect(foreign.status).toBe(404);
  expect((await call(`GET ${path}?account_id=${owner.accountId}`)).status).toBe(200);
  expect((await refusal(`GET ${path}`)).param).toBe("account_id");
  const body = { name: "bot", scopes: ["inference"] };
  const made = await call("POST /api/v1/keys", { key: owner.key, body });
  const asker = { key: String(made.json["key"]) };
  expect((await refusal(`GET ${path}`, asker)).status).toBe(403);
  for (const query of ["key_id=x", "limit=0", "limit=101", "cursor=x", "since=1"]) {
    const error = await refusal(`GET ${path}?${query}`, { key: owner.key });
    expect([query, error.status]).toEqual([query, 400]);
  }
});
