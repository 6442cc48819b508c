import { expect, test } from "vitest";
import { accountObject } from "../../../edge/objects.ts";
import { env } from "../routes/edge-client.ts";
import {
  answering,
  chat,
  ledgerBalance,
  ledgerSum,
  newFunded,
  newModel,
  serve,
  storedTask,
  untilListed,
  untilSettled,
} from "../world.ts";
import {
  signedReceiptSchema,
  verifyCountersignature,
  verifyReceipt,
} from "../../../shared/protocol/receipt.ts";

test("a task is held for, run, settled and stored with a receipt that both sides signed", async () => {
  const model = newModel();
  const consumer = await newFunded();
  const worker = await serve(model, { script: answering("Hel", "lo") });
  await untilListed(model);
  const response = await chat(consumer, model);
  expect(response.status).toBe(200);
  const answer = (await response.json()) as {
    choices: { message: { content: string } }[];
    usage: unknown;
  };
  expect(answer.choices[0]?.message.content).toBe("Hello");
  expect(answer.usage).toEqual({ prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 });
  expect(response.headers.get("x-octo-worker")).toBe(worker.id);

  const summary = await untilSettled(consumer);
  // 5 prompt tokens at 0.15 and 2 completion tokens at 0.60 micros, rounded up.
  expect(summary.balance).toBe(10_000_000n - 2n);
  const stored = await storedTask(consumer, response.headers.get("x-octo-task") ?? "");
  expect(stored.task).toMatchObject({ state: "settled", finish: "stop", costMicros: 2n });
  expect(stored.attempts).toMatchObject([{ number: 1, workerId: worker.id, outcome: "complete" }]);
  expect(await ledgerBalance(consumer)).toBe(summary.balance);
  expect(await ledgerSum()).toBe(0n);

  const [row] = stored.receipts;
  const signed = signedReceiptSchema.parse({
    receipt: JSON.parse(row?.body ?? "{}") as unknown,
    signature: row?.workerSignature,
  });
  expect(signed.receipt).toMatchObject({ worker: worker.id, completion_tokens: 2 });
  expect(await verifyReceipt(signed)).toBe(true);
  const edge = { publicKey: row?.edgeKey ?? "", signature: row?.edgeSignature ?? "" };
  expect(await verifyCountersignature(signed, edge)).toBe(true);
  expect((await worker.first("receipt.ack")).attempts).toEqual([signed.receipt.attempt]);
});

test("an account without credit is refused before any worker is asked", async () => {
  const model = newModel();
  const consumer = await newFunded(1);
  const worker = await serve(model);
  await untilListed(model);
  const response = await chat(consumer, model);
  expect(response.status).toBe(402);
  expect(await response.json()).toMatchObject({ error: { code: "insufficient_quota" } });
  expect(worker.attempts).toEqual([]);
});

test("a key revoked while it is remembered everywhere is refused at its next task", async () => {
  const model = newModel();
  const consumer = await newFunded();
  await serve(model, { script: answering("x") });
  await untilListed(model);
  expect((await chat(consumer, model)).status).toBe(200);
  await accountObject(env, consumer.accountId).setKey(consumer.keyId, "revoked");
  const response = await chat(consumer, model);
  expect(response.status).toBe(401);
  expect(await response.json()).toMatchObject({ error: { code: "invalid_api_key" } });
});

test("the engine gets the request as it was sent, in parts where it is long", async () => {
  const model = newModel();
  const consumer = await newFunded(1_000_000_000);
  const worker = await serve(model, {
    listing: { context_tokens: 1_000_000 },
    script: answering("read"),
  });
  await untilListed(model);
  const content = "a long story ".repeat(20_000);
  const messages = [{ role: "user", content }];
  const response = await chat(consumer, model, { body: { messages, temperature: 0.5 } });
  expect(response.status).toBe(200);
  const attempt = await worker.attempt();
  expect(attempt.offer.body_parts).toBeGreaterThan(1);
  expect(attempt.request).toMatchObject({ messages, temperature: 0.5 });
  await untilSettled(consumer);
});
