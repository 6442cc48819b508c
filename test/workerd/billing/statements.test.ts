import { expect, test } from "vitest";
import { until } from "../../helpers/until.ts";
import { call, newConsumer } from "../routes/edge-client.ts";
import {
  answering,
  chat,
  newFunded,
  newModel,
  serve,
  storedTask,
  untilListed,
  untilSettled,
} from "../world.ts";

const month = new Date().toISOString().slice(0, 7);

test("after answers and failures every statement agrees with what the accounts have", async () => {
  const model = newModel();
  const consumer = await newFunded();
  const [lazy, able] = [await newConsumer(), await newConsumer()];
  const joined = Promise.withResolvers<void>();
  const failing = await serve(model, {
    slots: 1,
    account: lazy.accountId,
    script: (attempt) => void joined.promise.then(() => attempt.refuse()),
  });
  await untilListed(model);
  const answered = chat(consumer, model);
  await failing.attempt();
  await serve(model, { account: able.accountId, script: answering("a", "b") });
  await untilListed(model, 2);
  joined.resolve();
  const response = await answered;
  await response.text();
  const taskId = response.headers.get("x-octo-task") ?? "";
  await storedTask(consumer, taskId);
  const { balance } = await untilSettled(consumer);

  const { json: usage } = await call("GET /api/v1/usage?group_by=model", { key: consumer.key });
  const invoicePath = `GET /api/v1/invoices/${month}`;
  const { json: invoice } = await call(invoicePath, { key: consumer.key });
  const spent = Number(invoice["spent_micros"]);
  expect(spent).toBeGreaterThan(0);
  expect(invoice).toMatchObject({
    credited_micros: 10_000_000,
    closing_micros: Number(balance),
    difference_micros: 0,
    by_model: [{ model, tasks: 1, spent_micros: spent }],
    by_key: [{ key_id: consumer.keyId, tasks: 1, spent_micros: spent }],
  });
  expect(usage).toMatchObject({ total: { tasks: 1, failed_tasks: 0, cost_micros: spent } });

  const statement = "GET /api/v1/statements/provider";
  const { json: earned } = await until("the provider's worker is in the registry", async () => {
    const answer = await call(statement, { key: able.key });
    const [line] = answer.json["workers"] as { worker_id: string | null }[];
    return typeof line?.worker_id === "string" && answer;
  });
  expect(earned).toMatchObject({
    difference_micros: 0,
    total: { served: 1, tokens: 2, gross_micros: spent, unpaid: [] },
  });
  const income = await call(invoicePath, { key: able.key });
  const { earned_micros } = earned["total"] as { earned_micros: number };
  expect(income.json).toMatchObject({ earned_micros, difference_micros: 0 });
  const { json: unpaid } = await until("the other's too", async () => {
    const answer = await call(statement, { key: lazy.key });
    return (answer.json["workers"] as unknown[]).length > 0 && answer;
  });
  expect(unpaid).toMatchObject({
    total: { served: 0, earned_micros: 0, unpaid: [{ reason: "refused", attempts: 1 }] },
  });
});
