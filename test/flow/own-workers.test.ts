import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { allTransfers } from "../helpers/flow-ledger.ts";
import { eventsOf } from "../helpers/flow-contract.ts";
import { steady } from "../helpers/flow-stream.ts";
import { Flow, script, scripted } from "../helpers/flow-world.ts";
import { until } from "../helpers/until.ts";
import { errorSchema } from "../../edge/openapi/openai-answers.ts";
import { taskDetailSchema } from "../../edge/routes/inference/task-schema.ts";

/** Two workers, each of an account of its own that was never given any credit. */
let flow: Flow;
let owner: { readonly accountId: string; readonly workerId: string; readonly key: string };

const workerSchema = z.object({ id: z.string(), account_id: z.string() });

beforeAll(async () => {
  // A worker that is killed is started again, and must not be back in time to go on.
  const vars = { OCTO_QUEUE_MS: "200" };
  const flags = ["--slots", "1", "--price-input", "3.5", "--price-output", "41.37"];
  flow = await Flow.start({ models: [`synthetic:${scripted}`], workers: 2, flags, vars });
  const [own] = flow.network.workers;
  const worker = await until("the registry has the worker", async () => {
    const page = z
      .object({ data: z.array(workerSchema) })
      .parse(await flow.operator.get("/api/v1/workers"));
    return page.data.find(({ id }) => id === own?.id);
  });
  const { key } = z.object({ key: z.string() }).parse(
    await flow.operator.post("/api/v1/keys", {
      account_id: worker.account_id,
      name: "owner",
      scopes: ["inference", "management", "read-only"],
    }),
  );
  owner = { accountId: worker.account_id, workerId: worker.id, key };
});
afterAll(async () => flow?.[Symbol.asyncDispose]());

function asOwner(path: string, body?: unknown): Promise<Response> {
  const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  return flow.fetch(path, { ...init, headers: { authorization: `Bearer ${owner.key}` } });
}

function ask(words: string, more: Record<string, unknown> = {}): Promise<Response> {
  const messages = [{ role: "user", content: script(words) }];
  return asOwner("/v1/chat/completions", { model: scripted, messages, ...more });
}

const moneySchema = z.object({ balance_micros: z.int(), held_micros: z.int() });

async function untilPennilessAsBefore(): Promise<void> {
  await until("nothing is held", async () => {
    const money = moneySchema.parse(await (await asOwner("/api/v1/account")).json());
    expect(money.balance_micros).toBe(0);
    return money.held_micros === 0;
  });
}

function storedTask(id: string) {
  return until(`the books know ${id}`, async () => {
    const response = await asOwner(`/api/v1/tasks/${id}`);
    return response.ok ? taskDetailSchema.parse(await response.json()) : null;
  });
}

test.each([false, true])("an owner without credit is answered (streamed: %s)", async (stream) => {
  const response = await ask("tokens=20", { stream });
  expect(response.status).toBe(200);
  expect(response.headers.get("x-octo-worker")).toBe(owner.workerId);
  const text = await response.text();
  if (stream) expect(text.trimEnd().endsWith("data: [DONE]")).toBe(true);
  expect(text).toContain("word1");
  await untilPennilessAsBefore();
  const task = await storedTask(response.headers.get("x-octo-task") ?? "");
  expect(task).toMatchObject({
    state: "settled",
    cost_micros: 0,
    hold_micros: 0,
    completion_tokens: 20,
    route: { own_only: true, worker_id: owner.workerId },
  });
});

test("the owner's statements say what was used, and that none of it was earned", async () => {
  const usage: unknown = await (await asOwner("/api/v1/usage?group_by=model")).json();
  expect(usage).toMatchObject({ total: { tasks: 2, completion_tokens: 40, cost_micros: 0 } });
  const statement = await (await asOwner("/api/v1/statements/provider")).text();
  expect(statement).toContain('"own_account"');
});

test("an owner without credit whose worker is busy waits, then gets 402", async () => {
  const leaving = new AbortController();
  const body = { model: scripted, messages: [{ role: "user", content: script(steady) }] };
  const running = await flow.fetch("/v1/chat/completions", {
    method: "POST",
    body: JSON.stringify({ ...body, stream: true }),
    headers: { authorization: `Bearer ${owner.key}` },
    signal: leaving.signal,
  });
  expect(running.headers.get("x-octo-worker")).toBe(owner.workerId);
  const refused = await ask("tokens=2");
  expect(refused.status).toBe(402);
  const { error } = errorSchema.parse(await refused.json());
  expect(error.code).toBe("insufficient_quota");
  expect(error.message).toMatch(/0 are available.* Your own workers, .*: No worker is free/);
  leaving.abort();
  await running.text().catch(() => "as it should: the connection is cut");
  await untilPennilessAsBefore();
  const again = await until("the worker is free again", async () => {
    const response = await ask("tokens=2");
    return response.status === 200 && response;
  });
  expect(again.headers.get("x-octo-worker")).toBe(owner.workerId);
  await again.text();
});

test("an owner without credit whose worker is killed in mid-answer is told so, and owes nobody", async () => {
  const response = await ask(steady, { stream: true });
  expect(response.headers.get("x-octo-worker")).toBe(owner.workerId);
  const decoder = new TextDecoder();
  let text = "";
  let isKilled = false;
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (isKilled || !text.includes("word3")) continue;
    isKilled = true;
    const { pid } = flow.worker(owner.workerId);
    if (pid === null) throw new Error("the worker is not running");
    process.kill(pid, "SIGKILL");
  }
  expect(text).not.toContain("[DONE]");
  const errors = eventsOf(text).flatMap(({ error }) => error ?? []);
  expect(errors).toMatchObject([{ code: "worker_failed" }]);
  await untilPennilessAsBefore();
  const task = await storedTask(response.headers.get("x-octo-task") ?? "");
  expect(task).toMatchObject({ state: "void", cost_micros: 0, error_code: "worker_failed" });
  expect(task.attempts.map(({ worker_id: id }) => id)).toEqual([owner.workerId]);
  for (const bucket of ["available", "earned"]) {
    expect(await allTransfers(flow, `${owner.accountId}:${bucket}`)).toEqual([]);
  }
});
