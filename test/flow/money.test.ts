import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { importSigningKey } from "../../shared/crypto/signing.ts";
import { costMicros, defaultSplit, divideBySplit, splitParties } from "../../shared/money.ts";
import { done } from "../helpers/flow-contract.ts";
import {
  allTasks,
  allTransfers,
  seenHash,
  type SeenChoice,
  sentHash,
  verifiedReceipt,
} from "../helpers/flow-ledger.ts";
import { OpenStream } from "../helpers/flow-stream.ts";
import { Flow, type FlowTask, script, scripted } from "../helpers/flow-world.ts";
import { until } from "../helpers/until.ts";

const openingMicros = 100_000_000;
const tiny = "octo-tiny";
let flow: Flow;

/** What the consumer knows of a whole answer, for the books to be held against. */
interface Known {
  readonly promptHash: string;
  readonly outputHash: string;
  readonly promptTokens: number;
  readonly completionTokens: number;
}
const knownByTask = new Map<string, Known>();
/** Tasks that ended before they were whole, as the consumer saw it. */
const brokenOff = new Set<string>();

beforeAll(async () => {
  const vars = { OCTO_QUEUE_MS: "200" };
  // Dear enough for every party of the split to get something.
  const flags = ["--price-input", "3.5", "--price-output", "41.37"];
  flow = await Flow.start({ models: [tiny, `synthetic:${scripted}`], workers: 2, flags, vars });
});
afterAll(async () => flow?.[Symbol.asyncDispose]());

const answerSchema = z.object({
  choices: z.array(
    z.object({
      text: z.string().optional(),
      message: z
        .object({
          content: z.string().nullable(),
          tool_calls: z
            .array(
              z.object({
                id: z.string(),
                function: z.object({ name: z.string(), arguments: z.string() }),
              }),
            )
            .optional(),
        })
        .optional(),
    }),
  ),
  usage: z.object({ prompt_tokens: z.int(), completion_tokens: z.int() }),
});

function post(path: string, body: unknown, idempotencyKey?: string): Promise<Response> {
  const headers = idempotencyKey === undefined ? {} : { "idempotency-key": idempotencyKey };
  return flow.fetch(path, { method: "POST", body: JSON.stringify(body), headers });
}

/** Asks for a whole answer and notes what the consumer knows of it. */
async function askWhole(path: string, body: Record<string, unknown>): Promise<void> {
  const response = await post(path, body);
  expect(response.status).toBe(200);
  const { choices, usage } = answerSchema.parse(await response.json());
  const seen = choices.map(({ text, message }): SeenChoice => ({
    text: text ?? message?.content ?? "",
    toolCalls: message?.tool_calls ?? [],
  }));
  knownByTask.set(taskOf(response), {
    promptHash: await sentHash(body),
    outputHash: await seenHash(seen),
    promptTokens: usage.prompt_tokens,
    completionTokens: usage.completion_tokens,
  });
}

function taskOf(response: Response): string {
  return response.headers.get("x-octo-task") ?? "";
}

function user(content: string) {
  return [{ role: "user", content }];
}

describe("a day of business", () => {
  test("whole answers of every kind", async () => {
    const chat = "/v1/chat/completions";
    const fox = user("Tell me a story about a fox");
    const tools = [{ type: "function", function: { name: "weather" } }];
    const call = script(`tool="weather" args='{"city":"Rome"}'`);
    // Names in an order of their own: the order of fields is not what a receipt is about.
    await askWhole(chat, { messages: fox, model: tiny, max_tokens: 30, temperature: 0.5 });
    await askWhole(chat, { model: tiny, messages: fox, n: 2, max_tokens: 10, user: "x", top_k: 5 });
    await askWhole(chat, { model: scripted, messages: user(call), tools });
    await askWhole(chat, { model: scripted, messages: user(script('text="Grüße 🦊 aus Rom"')) });
    await askWhole("/v1/completions", { model: tiny, prompt: "Once upon", max_tokens: 7 });
    await askWhole(chat, { model: scripted, messages: user(script("tokens=0")) });
  });

  test("streamed answers, read to their end", async () => {
    const words = "tokens=30 rate=300";
    const more = { stream_options: { include_usage: true } };
    const body = { model: scripted, messages: user(script(words)), stream: true, ...more };
    const stream = await OpenStream.open(flow, words, more);
    expect(await stream.over).toBe("ended");
    const { usage } = z
      .object({ usage: answerSchema.shape.usage })
      .parse(stream.events.at(-1) ?? {});
    knownByTask.set(stream.taskId, {
      promptHash: await sentHash(body),
      outputHash: await seenHash([{ text: stream.content }]),
      promptTokens: usage.prompt_tokens,
      completionTokens: usage.completion_tokens,
    });
  });

  test("answers that are left in the middle, and answers that fail", async () => {
    const left = await OpenStream.open(flow);
    await left.untilWord(3);
    await left.leave();
    const breaking = "tokens=9 burst=1 fail=engine_failed after=3";
    const failed = await OpenStream.open(flow, breaking, { n: 2 });
    expect(await failed.over).toBe("ended");
    brokenOff.add(failed.taskId);
    const continued = await OpenStream.open(flow, breaking);
    expect(await continued.over).toBe("ended");
    expect(continued.text.endsWith(done)).toBe(true);
    expect((await flow.ask("fail=engine_failed")).status).toBeGreaterThanOrEqual(500);
    expect((await flow.ask("fail=invalid_request")).status).toBe(400);
  });

  test("repeats under one Idempotency-Key get the same answer, streamed or not", async () => {
    const path = "/v1/chat/completions";
    for (const stream of [false, true]) {
      const body = { model: tiny, messages: user("Tell me a story about an owl"), stream };
      const key = `once-${stream}`;
      const first = await post(path, body, key);
      const text = await first.text();
      expect(text).toContain(stream ? done : '"usage"');
      // A streamed answer is kept once its end was written.
      const again = await until("the answer is repeated", async () => {
        const response = await post(path, body, key);
        return response.ok && response;
      });
      expect(await again.text()).toBe(text);
      expect(taskOf(again)).toBe(taskOf(first));
      expect(again.headers.get("idempotency-replayed")).toBe("true");
      const other = await post(path, { ...body, max_tokens: 9 }, key);
      expect(other.status).toBe(409);
      expect(await other.json()).toMatchObject({ error: { code: "idempotency_conflict" } });
    }
  });

  test("a request that is still running is not run twice", async () => {
    const body = { model: scripted, messages: user(script("tokens=60 rate=100")) };
    const [first, second] = await Promise.all(
      [1, 2].map(() => post("/v1/chat/completions", body, "twins")),
    );
    expect([first?.status, second?.status].toSorted()).toEqual([200, 409]);
  });
});

const price = { inputMicrosPerMillion: 3_500_000, outputMicrosPerMillion: 41_370_000 };

/** Who made a task's answer, in order, and what each piece costs. */
function sharesOf(task: FlowTask): { readonly workerId: string; readonly cost: bigint }[] {
  if (task.state === "void" || task.completion_tokens === 0) return [];
  const earlier = task.attempts.slice(0, -1).filter(({ tokens }) => tokens > 0);
  const [last] = task.attempts.slice(-1);
  if (last === undefined) return [];
  const before = earlier.reduce((sum, { tokens }) => sum + tokens, 0);
  const shares = earlier.map(({ worker_id: workerId, tokens }) => ({
    workerId,
    cost: costMicros({ promptTokens: 0, completionTokens: tokens }, price),
  }));
  const counts = {
    promptTokens: task.prompt_tokens,
    completionTokens: task.completion_tokens - before,
  };
  return [...shares, { workerId: last.worker_id, cost: costMicros(counts, price) }];
}

describe("the books afterwards", () => {
  let tasks: FlowTask[];

  beforeAll(async () => {
    await flow.untilNothingHeld();
    await until("the ledger has everything", async () => {
      const { ledger_pending: pending } = z
        .object({ ledger_pending: z.boolean() })
        .parse(await flow.operator.get(`/api/v1/accounts/${flow.network.consumer.accountId}`));
      return !pending;
    });
    tasks = await allTasks(flow);
  });

  test("know every task once, with its end", () => {
    // 6 whole, 1 streamed, 1 left, 3 failed, 1 continued, 2 under keys, 1 of the twins.
    expect(tasks).toHaveLength(15);
    expect(new Set(tasks.map(({ id }) => id)).size).toBe(15);
    const finishes = tasks.map(({ state, finish }) => `${state} ${finish}`).toSorted();
    expect(finishes.filter((one) => one.startsWith("void"))).toHaveLength(3);
    expect(finishes.filter((one) => one === "settled cancelled")).toHaveLength(1);
    for (const id of knownByTask.keys()) expect(tasks.map((task) => task.id)).toContain(id);
  });

  test("took from the consumer what the tasks cost, and nothing else", async () => {
    const cost = tasks.reduce((sum, { cost_micros: micros }) => sum + micros, 0);
    expect(cost).toBeGreaterThan(0);
    expect(await flow.money()).toMatchObject({
      balance_micros: openingMicros - cost,
      held_micros: 0,
    });
  });

  test("cost a broken answer and an answer of nothing nothing", () => {
    for (const task of tasks.filter(({ state }) => state === "void")) {
      expect(task).toMatchObject({ cost_micros: 0, completion_tokens: 0, receipts: [] });
      expect(task.error_code).not.toBeNull();
      expect(task.attempts.length).toBeGreaterThan(0);
    }
    for (const id of brokenOff) expect(tasks.find((task) => task.id === id)?.state).toBe("void");
    const empty = tasks.filter(({ state, completion_tokens: n }) => state === "settled" && n === 0);
    expect(empty.map(({ cost_micros: micros }) => micros)).toEqual([0]);
  });

  test("divided each cost by the split, to the last micro", async () => {
    const transfers = await allTransfers(flow, `${flow.network.consumer.accountId}:available`);
    expect(transfers.filter(({ kind }) => kind === "mint")).toHaveLength(1);
    const ofTasks = transfers.filter(({ kind }) => kind === "task");
    for (const task of tasks) {
      const own = ofTasks.filter(({ taskId }) => taskId === task.id);
      const expected = new Map<string, bigint>();
      for (const [at, { cost }] of sharesOf(task).entries()) {
        const parts = divideBySplit(cost, defaultSplit);
        for (const party of splitParties.filter((one) => parts[one] > 0n)) {
          const id = at === 0 ? `${task.id}:${party}` : `${task.id}:${party}:${at + 1}`;
          expected.set(id, parts[party]);
        }
      }
      expect(new Map(own.map(({ id, amountMicros }) => [id, amountMicros]))).toEqual(expected);
      for (const { id, creditAccount } of own) {
        const party = id.split(":")[1] ?? "";
        expect(creditAccount).toMatch(
          party === "provider" ? /^acct_\w+:earned$/ : new RegExp(`^system:${party}$`),
        );
      }
    }
    expect(ofTasks.every(({ taskId }) => tasks.some(({ id }) => id === taskId))).toBe(true);
  });

  test("gave every provider its share", async () => {
    const workersSchema = z.object({
      data: z.array(z.object({ id: z.string(), account_id: z.string() })),
    });
    const { data } = workersSchema.parse(await flow.operator.get("/api/v1/workers"));
    expect(data).toHaveLength(2);
    for (const { id, account_id: accountId } of data) {
      const share = tasks
        .flatMap(sharesOf)
        .filter(({ workerId }) => workerId === id)
        .map(({ cost }) => divideBySplit(cost, defaultSplit).provider)
        .reduce((sum, micros) => sum + micros, 0n);
      await until(`${id} has earned ${share}`, async () => {
        const path = `/api/v1/accounts/${accountId}`;
        const { earned_micros: earned } = z
          .object({ earned_micros: z.int() })
          .parse(await flow.operator.get(path));
        return BigInt(earned) === share;
      });
    }
  });

  test("are conserved", async () => {
    expect(await flow.operator.get("/api/v1/ledger/conservation")).toMatchObject({
      conserved: true,
      assets: [{ asset: "CREDIT", sum_micros: 0 }],
    });
  });

  test("hold for every settled task a receipt that both sides signed, over what was seen", async () => {
    const secrets = z
      .object({ edgeKey: z.string() })
      .parse(JSON.parse(readFileSync(join(flow.folder, "secrets.json"), "utf8")));
    const { publicKey } = await importSigningKey(secrets.edgeKey);
    for (const task of tasks.filter(({ state }) => state === "settled")) {
      expect(task.attempts.length).toBeGreaterThan(0);
      const [shown, ...others] = task.receipts;
      if (shown === undefined || others.length > 0) throw new Error(`${task.id} has one receipt`);
      expect(shown.edge_key).toBe(publicKey);
      const receipt = await verifiedReceipt(shown);
      expect(receipt.attempt).toBe(`${task.id}.${task.attempts.at(-1)?.number}`);
      expect(receipt.worker).toBe(task.attempts.at(-1)?.worker_id);
      expect(`sha256:${receipt.model}`).toBe(task.digest);
      expect({
        inputMicrosPerMillion: receipt.input_micros_per_million,
        outputMicrosPerMillion: receipt.output_micros_per_million,
      }).toEqual(price);
      const cost = sharesOf(task).reduce((sum, share) => sum + share.cost, 0n);
      expect(BigInt(task.cost_micros)).toBe(cost);
      const known = knownByTask.get(task.id);
      if (known === undefined) continue;
      expect({
        promptHash: receipt.prompt_hash,
        outputHash: receipt.output_hash,
        promptTokens: receipt.prompt_tokens,
        completionTokens: receipt.completion_tokens,
      }).toEqual(known);
    }
  });
});
