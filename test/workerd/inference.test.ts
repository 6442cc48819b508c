import { expect, test } from "vitest";
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
} from "./world.ts";
import {
  signedReceiptSchema,
  verifyCountersignature,
  verifyReceipt,
} from "../../shared/protocol/receipt.ts";

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
