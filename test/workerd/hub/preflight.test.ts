import { describe, expect, test } from "vitest";
import { generateSigningKey } from "../../../shared/crypto/signing.ts";
import type { FakeAttempt, FakeWorker, Script } from "../../helpers/fake-worker.ts";
import { until } from "../../helpers/until.ts";
import { call } from "../routes/edge-client.ts";
import {
  chat,
  crashHub,
  ledgerSum,
  newFunded,
  newModel,
  serve,
  storedTask,
  untilListed,
  untilSettled,
} from "../world.ts";

const abilities = ["chat", "tools", "seed"];

/** Answers probes and consumers alike, as an engine that can do what it says. */
const able: Script = async (attempt) => {
  const { messages, tools } = attempt.request as {
    messages: { content: string }[];
    tools?: unknown[];
  };
  attempt.accept();
  if (tools === undefined) attempt.delta("ok");
  else {
    const call = { index: 0, id: "c", name: "paint", arguments: '{"colour":"red"}' };
    attempt.parts([{ index: 0, tokens: 2, tool_calls: [call] }]);
  }
  const prompt = messages[0]?.content.split(" ").length ?? 1;
  await finish(attempt, prompt);
};

async function finish(attempt: FakeAttempt, prompt: number): Promise<void> {
  const { tokens } = attempt.transcript;
  await attempt.end({
    receipt: { prompt_tokens: prompt },
    frame: { usage: { prompt, completion: tokens, cached: 0 } },
  });
  attempt.worker.grant(1);
}

/** The last result with a verdict on everything. */
function verdict(worker: FakeWorker) {
  return until("the hub has a verdict", () => {
    const last = worker.all("listing.result").at(-1);
    return last !== undefined && last.checking === undefined && last;
  });
}

describe("a worker's claims", () => {
  test("are offered to it as tasks, then listed, and cost nobody anything", async () => {
    const model = newModel();
    const worker = await serve(model, { script: able, listing: { abilities } });
    expect(worker.all("listing.result")[0]).toMatchObject({ listed: [model], checking: [model] });
    expect(await verdict(worker)).toEqual({
      type: "listing.result",
      revision: 1,
      listed: [model],
      refused: [],
    });
    await untilListed(model);
    const offered = worker.attempts.map(({ offer }) => offer.attempt);
    const acknowledged = worker.all("receipt.ack").flatMap(({ attempts }) => attempts);
    expect(offered).toHaveLength(5);
    expect(acknowledged).toEqual(offered);
    expect(await ledgerSum()).toBe(0n);
    const { json } = await call(`GET /v1/models/${model}`);
    expect(json["octo"]).toMatchObject({ measured: { success_share: 1, samples: 3 } });
  });

  test("that do not hold are struck, and no consumer is sent there for them", async () => {
    const model = newModel();
    const toolless: Script = async (attempt) => {
      attempt.accept();
      attempt.delta("no");
      await finish(attempt, 5_000);
    };
    const worker = await serve(model, { script: toolless, listing: { abilities } });
    expect(await verdict(worker)).toMatchObject({
      listed: [model],
      struck: [{ model, ability: "tools" }],
    });
    await untilListed(model);
    const consumer = await newFunded();
    const tool = { type: "function", function: { name: "f" } };
    const response = await chat(consumer, model, { body: { tools: [tool] } });
    expect(response.ok).toBe(false);
    expect(await (await chat(consumer, model)).json()).toMatchObject({
      choices: [{ message: { content: "no" } }],
    });
    await untilSettled(consumer);
  });

  test("are not listed where its engine fails, and the reason is told", async () => {
    const model = newModel();
    const failing: Script = (attempt) => {
      attempt.accept();
      attempt.fail("engine_failed", "the GPU is gone");
      attempt.worker.grant(1);
    };
    const worker = await serve(model, { script: failing });
    const { listed, refused } = await verdict(worker);
    expect(listed).toEqual([]);
    expect(refused).toEqual([
      { model, reason: "chat does not work: The worker failed: the GPU is gone" },
    ]);
    const { status } = await call(`GET /v1/models/${model}`);
    expect(status).toBe(404);
  });

  test("are remembered, so that a worker that comes back is listed at once", async () => {
    const model = newModel();
    const { key } = await generateSigningKey();
    const first = await serve(model, { key, script: able, listing: { abilities } });
    await verdict(first);
    first.close();
    const again = await serve(model, { key, script: able, listing: { abilities } });
    expect(again.all("listing.result")[0]).toMatchObject({ listed: [model] });
    expect(again.all("listing.result")[0]?.checking).toBeUndefined();
    expect(again.attempts).toEqual([]);
    await untilListed(model);
  });

  test("are probed anew by a hub that died in the middle, and what it lost is let go", async () => {
    const model = newModel();
    const { key } = await generateSigningKey();
    const listing = { abilities };
    const first = await serve(model, { key, listing });
    const { offer } = await first.attempt();
    await crashHub();
    await first.ending();
    const second = await serve(model, { key, script: able, listing });
    expect(second.all("listing.result")[0]).toMatchObject({ checking: [model] });
    expect(await verdict(second)).toMatchObject({ listed: [model], refused: [] });
    await untilListed(model);
    // The receipt of the probe that died with the hub comes back like any other, and nobody pays.
    const [answered] = second.attempts;
    const { receipt } = (await answered?.end()) ?? {};
    if (receipt === undefined) throw new Error("there was no probe");
    second.send({ type: "receipt.submit", entries: [{ ticket: offer.ticket, signed: receipt }] });
    const { attempt } = receipt.receipt;
    await until("the receipt is let go", () => {
      const told = second.all("receipt.ack").flatMap(({ attempts }) => attempts);
      return told.filter((one) => one === attempt).length === 2;
    });
    expect(await ledgerSum()).toBe(0n);
  });

  test("keep nobody else waiting", async () => {
    const [busy, free] = [newModel(), newModel()];
    const worker = await serve(free, { script: able, listing: { abilities: ["chat"] } });
    await verdict(worker);
    await untilListed(free);
    const silent = await serve(busy, { script: () => undefined });
    await silent.attempt();
    const consumer = await newFunded();
    const response = await chat(consumer, free);
    expect(response.status).toBe(200);
    await response.text();
    const task = await storedTask(consumer, response.headers.get("x-octo-task") ?? "");
    expect(task.attempts).toHaveLength(1);
    silent.close();
  });
});
