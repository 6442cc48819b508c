import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { done } from "../helpers/flow-contract.ts";
import { isRunning, workerdPid } from "../helpers/flow-processes.ts";
import { OpenStream, steady } from "../helpers/flow-stream.ts";
import { Flow } from "../helpers/flow-world.ts";
import type { Consumer } from "../../dev/state.ts";
import type { WorkerProcess } from "../../dev/worker-process.ts";
import { until } from "../helpers/until.ts";

/** One slot a worker: whoever holds it sends the next task to the other one. */
const slots = ["--slots", "1"];
let flow: Flow;
let visitor: Consumer;

beforeAll(async () => {
  const vars = { OCTO_FIRST_TOKEN_MS: "3000", OCTO_QUEUE_MS: "6000", OCTO_STALL_MS: "3000" };
  flow = await Flow.start({ models: ["synthetic:scripted"], workers: 2, flags: slots, vars });
  visitor = await flow.newConsumer(1_000_000);
});
afterAll(async () => flow?.[Symbol.asyncDispose]());

/** How often workers that were killed had been listed before. */
const listedBefore = new Map<WorkerProcess, number>();

afterEach(async () => {
  // Nobody stays frozen, whatever became of the test.
  for (const worker of flow.network.workers) if (worker.pid !== null) signal(worker, "SIGCONT");
  for (const [worker, times] of listedBefore) {
    await until("the killed worker is listed again", () => timesListed(worker) > times);
  }
  listedBefore.clear();
  await flow.untilNothingHeld();
  await untilAllAnswer();
});

/**
 * Resolves once every worker has answered another consumer: its failures are forgotten, and its
 * breaker is closed.
 */
async function untilAllAnswer(): Promise<void> {
  const headers = { authorization: `Bearer ${visitor.apiKey}` };
  for (const { id } of flow.network.workers) {
    await until(`${id} answers`, async () => {
      const response = await flow.ask("text=well", { octo: { include: [id] } }, { headers });
      return response.ok;
    });
  }
}

function timesListed(worker: WorkerProcess): number {
  return flow.saidBy(worker).filter(({ message }) => message === "Listed").length;
}

function signal(worker: WorkerProcess, name: NodeJS.Signals): number {
  const { pid } = worker;
  if (pid === null) throw new Error(`${worker.id} is not running`);
  process.kill(pid, name);
  return pid;
}

/** Ends a worker's process, as a power cut would; it is started again by itself. */
function kill(worker: WorkerProcess): number {
  listedBefore.set(worker, timesListed(worker));
  return signal(worker, "SIGKILL");
}

/**
 * A task that waits on a frozen worker while the other one is free: `frozen` has it, and has not
 * read it.
 */
async function askFrozen(words: string, more: Record<string, unknown> = {}) {
  const holder = await OpenStream.open(flow);
  const free = flow.worker(holder.workerId);
  const frozen = flow.otherWorker(holder.workerId);
  signal(frozen, "SIGSTOP");
  const asking = await askAndHold(words, more);
  await holder.leave();
  await flow.untilWorkerEnds(holder.taskId);
  return { asking, free, frozen };
}

/** Resolves once the task is held for: the hub has it a moment later. */
async function askAndHold(words: string, more: Record<string, unknown> = {}) {
  const before = (await flow.money()).held_micros;
  const response = flow.ask(words, more);
  await until("the task is held for", async () => (await flow.money()).held_micros > before);
  // In an object: a promise given by an async function would be waited for.
  return { response };
}

function devFile(): { url: string; workers: { id: string; pid: number | null }[] } {
  return JSON.parse(readFileSync(join(flow.folder, "dev.json"), "utf8")) as ReturnType<
    typeof devFile
  >;
}

describe("a worker", () => {
  test("killed before its first token is invisible, and its successor alone is paid", async () => {
    const { asking, free, frozen } = await askFrozen('text="still here"');
    kill(frozen);
    const response = await asking.response;
    expect(response.status).toBe(200);
    expect(response.headers.get("x-octo-attempts")).toBe("2");
    expect(response.headers.get("x-octo-worker")).toBe(free.id);
    const answer = (await response.json()) as { choices: { message: { content: string } }[] };
    expect(answer.choices.map(({ message }) => message.content)).toEqual(["still here"]);
    const task = await flow.untilTask(response.headers.get("x-octo-task") ?? "");
    expect(task).toMatchObject({ state: "settled", attempts_made: 2, completion_tokens: 2 });
    expect(task.attempts.map(({ worker_id: id }) => id)).toEqual([frozen.id, free.id]);
    expect(task.attempts.map(({ outcome }) => outcome)).toEqual([
      expect.stringMatching(/^lost/),
      "complete",
    ]);
    expect(task.receipts.map((receipt) => receipt.worker_id)).toEqual([free.id]);
  });

  test("killed in mid-stream is followed by another, and both are paid for what they made", async () => {
    const before = await flow.money();
    const stream = await OpenStream.open(flow, "tokens=60 rate=30");
    await stream.untilWord(3);
    const dead = flow.worker(stream.workerId);
    kill(dead);
    expect(await stream.over).toBe("ended");
    expect(stream.text.endsWith(done)).toBe(true);
    const words = Array.from({ length: 60 }, (_, at) => `word${at + 1}`);
    expect(stream.content).toBe(words.join(" "));
    expect(new Set(stream.events.map(({ id }) => id)).size).toBe(1);
    const task = await flow.untilTask(stream.taskId);
    expect(task).toMatchObject({ state: "settled", completion_tokens: 60, attempts_made: 2 });
    expect(task.attempts.map(({ worker_id: id }) => id)).toEqual([
      dead.id,
      flow.otherWorker(dead.id).id,
    ]);
    const made = task.attempts.map(({ tokens }) => tokens);
    expect(made.reduce((sum, tokens) => sum + tokens, 0)).toBe(60);
    expect(task.receipts).toHaveLength(1);
    const receipt = JSON.parse(task.receipts[0]?.body ?? "{}") as unknown;
    expect(receipt).toMatchObject({ v: 2, completion_tokens: made[1] });
    await flow.untilNothingHeld();
    const spent = before.balance_micros - (await flow.money()).balance_micros;
    expect(spent).toBe(task.cost_micros);
  });

  test("killed where nobody can follow ends the answer with an error, and nothing is billed", async () => {
    const before = await flow.money();
    // Of several choices nobody can tell which tokens belong to which.
    const stream = await OpenStream.open(flow, steady, { n: 2 });
    await until("something has come", () => stream.events.length > 1);
    kill(flow.worker(stream.workerId));
    expect(await stream.over).toBe("ended");
    expect(stream.text).not.toContain(done);
    const last = stream.events.at(-1);
    expect(last?.error).toMatchObject({ code: "worker_failed" });
    expect(last?.choices[0]?.finish_reason).toBe("error");
    expect(await flow.untilTask(stream.taskId)).toMatchObject({
      state: "void",
      error_code: "worker_failed",
      cost_micros: 0,
    });
    expect(await flow.money()).toMatchObject({ balance_micros: before.balance_micros });
  });

  test("that is frozen loses the task to the next at the deadline of the first token", async () => {
    const { asking, free, frozen } = await askFrozen('text="on time"', { stream: true });
    const response = await asking.response;
    expect(response.headers.get("x-octo-attempts")).toBe("2");
    expect(response.headers.get("x-octo-worker")).toBe(free.id);
    const text = await response.text();
    expect(text.endsWith(done)).toBe(true);
    const task = await flow.untilTask(response.headers.get("x-octo-task") ?? "");
    expect(task.attempts.map(({ outcome }) => outcome)).toEqual(["late", "complete"]);
    expect(task.receipts).toHaveLength(1);
    signal(frozen, "SIGCONT");
    await until("the frozen worker is done with it", () =>
      flow.saidBy(frozen).some(({ attempt }) => attempt?.startsWith(`${task.id}.`)),
    );
  });

  test("that falls silent in mid-stream is followed by another", async () => {
    const stream = await OpenStream.open(flow, "tokens=9 burst=1 hang after=2");
    expect(await stream.over).toBe("ended");
    expect(stream.content).toBe("word1 word2 word3 word4 word5 word6 word7 word8 word9");
    expect(stream.text.endsWith(done)).toBe(true);
    const task = await flow.untilTask(stream.taskId);
    expect(task.attempts.map(({ outcome }) => outcome)).toEqual(["stalled", "complete"]);
  });

  test("whose engine fails in mid-stream is followed by another", async () => {
    const stream = await OpenStream.open(flow, "tokens=9 burst=1 fail=engine_failed after=4");
    expect(await stream.over).toBe("ended");
    expect(stream.content).toBe("word1 word2 word3 word4 word5 word6 word7 word8 word9");
    const task = await flow.untilTask(stream.taskId);
    expect(task.attempts.map(({ outcome }) => outcome)).toEqual(["engine_failed", "complete"]);
  });

  test("that died is started again under the same identity, and scripts find it", async () => {
    const [worker] = flow.network.workers;
    if (worker === undefined) throw new Error("the network has workers");
    const dead = kill(worker);
    const born = await until("its successor is in dev.json", () => {
      const entry = devFile().workers.find(({ id }) => id === worker.id);
      return entry?.pid !== dead && entry?.pid;
    });
    expect(isRunning(born)).toBe(true);
    expect(isRunning(dead)).toBe(false);
    expect(devFile().workers.map(({ id }) => id)).toEqual(flow.network.workers.map(({ id }) => id));
  });

  test("a task that waits for the only worker is served once that one is back", async () => {
    const holder = await OpenStream.open(flow);
    const [busy, other] = [flow.worker(holder.workerId), flow.otherWorker(holder.workerId)];
    signal(other, "SIGSTOP");
    signal(busy, "SIGSTOP");
    const asking = await askAndHold('text="back again"');
    kill(other);
    const response = await asking.response;
    expect(response.status).toBe(200);
    expect(response.headers.get("x-octo-worker")).toBe(other.id);
    signal(busy, "SIGCONT");
    await holder.leave();
  });
});

describe("an edge that is killed", () => {
  async function killEdge(): Promise<void> {
    const pid = workerdPid();
    process.kill(pid, "SIGKILL");
    await until("the runtime is gone", () => !isRunning(pid));
  }

  test("comes back with its workers, and no answer in flight looks whole", async () => {
    const before = await flow.money();
    const stream = await OpenStream.open(flow);
    await stream.untilWord(3);
    const asking = await askAndHold("delay=60000");
    const waiting = asking.response.then(
      ({ status }) => status,
      () => "connection error",
    );
    await killEdge();
    await stream.over;
    expect(stream.text).not.toContain(done);
    expect(await waiting).not.toBe(200);
    await flow.untilListed(2);
    const response = await flow.ask('text="here again"');
    expect(response.status).toBe(200);
    await response.text();
    await flow.untilTask(response.headers.get("x-octo-task") ?? "");
    const spent = before.balance_micros - (await flow.money()).balance_micros;
    expect(spent).toBe(1);
  });

  test("right after whole answers pays each of them once, from the workers' journals", async () => {
    const before = await flow.money();
    const streams = await Promise.all(
      [1, 2].map(() => OpenStream.open(flow, "tokens=400 rate=400")),
    );
    await Promise.all(streams.map(({ over }) => over));
    await killEdge();
    expect(streams.every(({ text }) => text.endsWith(done))).toBe(true);
    await flow.untilListed(2);
    const tasks = await Promise.all(streams.map(({ taskId }) => flow.untilTask(taskId)));
    for (const task of tasks) {
      expect(task).toMatchObject({ state: "settled", completion_tokens: 400, attempts_made: 1 });
      expect(task.receipts).toHaveLength(1);
    }
    const cost = tasks.reduce((sum, { cost_micros: micros }) => sum + micros, 0);
    expect(before.balance_micros - (await flow.money()).balance_micros).toBe(cost);
    await until("no worker keeps a receipt", () =>
      flow.network.workers.every((worker) => pendingReceipts(worker) === 0),
    );
  });

  function pendingReceipts(worker: WorkerProcess): number {
    const status = readFileSync(
      join(flow.folder, "workers", nameOf(worker), "status.json"),
      "utf8",
    );
    return (JSON.parse(status) as { pending_receipts: number }).pending_receipts;
  }

  function nameOf(worker: WorkerProcess): string {
    return `worker-${flow.network.workers.indexOf(worker) + 1}`;
  }
});
