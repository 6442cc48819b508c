import { describe, expect, test } from "vitest";
import { closeCodes } from "../../../shared/protocol/close-codes.ts";
import type { FakeAttempt } from "../../helpers/fake-worker.ts";
import { until } from "../../helpers/until.ts";
import { readStream } from "../sse.ts";
import {
  answering,
  chat,
  ledgerSum,
  newFunded,
  newModel,
  serve,
  storedTask,
  summaryOf,
  untilListed,
  untilSettled,
} from "../world.ts";

const taskOf = (response: Response) => response.headers.get("x-octo-task") ?? "";

describe("before the first token every failure of a worker is invisible", () => {
  const failures: Record<string, (attempt: FakeAttempt) => void> = {
    refuses: (attempt) => attempt.refuse(),
    fails: (attempt) => {
      attempt.accept();
      attempt.fail("engine_failed", "the engine fell over");
    },
    "is lost": (attempt) => attempt.worker.close(),
    "says nothing": () => undefined,
    "speaks nonsense": (attempt) => attempt.worker.sendText("{"),
    "answers with another model than it offered": (attempt) => {
      void attempt.end({ receipt: { model: "ee".repeat(32) } });
    },
    "asks for another price than it offered": (attempt) => {
      void attempt.end({ receipt: { output_micros_per_million: 700_000 } });
    },
    "signs for another attempt": (attempt) => {
      void attempt.end({ receipt: { attempt: "tsk_0123456789ABCDEFGHIJkl.1" } });
    },
    "claims other counts than it signs": (attempt) => {
      void attempt.end({ receipt: { completion_tokens: 9 } });
    },
    "answers a choice nobody asked for": (attempt) => {
      attempt.parts([{ index: 5, tokens: 1, text: "x" }]);
    },
  };

  test.each(Object.entries(failures))(
    "a worker that %s is followed by another",
    async (_what, fail) => {
      const model = newModel();
      const consumer = await newFunded();
      const joined = Promise.withResolvers<void>();
      const failing = await serve(model, {
        slots: 1,
        script: (attempt) => void joined.promise.then(() => fail(attempt)),
      });
      await untilListed(model);
      const answered = chat(consumer, model, { stream: true });
      await failing.attempt();
      await serve(model, { script: answering("fine"), slots: 8 });
      await untilListed(model, 2);
      joined.resolve();
      const response = await answered;
      expect(await readStream(response)).toMatchObject({ text: "fine", isDone: true });
      const { task, attempts } = await storedTask(consumer, taskOf(response));
      expect(task.state).toBe("settled");
      expect(attempts.length).toBeGreaterThan(1);
      expect(attempts.at(-1)?.outcome).toBe("complete");
      await untilSettled(consumer);
    },
  );

  test("a request that is at fault itself is not tried elsewhere", async () => {
    const model = newModel();
    const consumer = await newFunded();
    const fail = (attempt: FakeAttempt) =>
      attempt.fail("context_length_exceeded", "9000 tokens do not fit 2048");
    const workers = [await serve(model, { script: fail }), await serve(model, { script: fail })];
    await untilListed(model, 2);
    const response = await chat(consumer, model);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { code: "context_length_exceeded" } });
    expect(workers.flatMap(({ attempts }) => attempts)).toHaveLength(1);
    expect((await untilSettled(consumer)).balance).toBe(10_000_000n);
  });

  test("where every worker fails the consumer is told, and pays nothing", async () => {
    const model = newModel();
    const consumer = await newFunded();
    const fail = (attempt: FakeAttempt) => attempt.fail("out_of_memory", "no room");
    for (let count = 0; count < 3; count++) await serve(model, { script: fail });
    await untilListed(model, 3);
    const response = await chat(consumer, model);
    expect(response.status).toBe(502);
    expect(await response.json()).toMatchObject({ error: { code: "worker_failed" } });
    expect((await untilSettled(consumer)).balance).toBe(10_000_000n);
  });

  test("a task that no worker is free for is told when to come back", async () => {
    const model = newModel();
    const consumer = await newFunded();
    const worker = await serve(model, { slots: 1 });
    await untilListed(model);
    const first = chat(consumer, model);
    const attempt = await worker.attempt();
    let second: Response | null = null;
    void chat(consumer, model).then((response) => (second = response));
    const refused = await until("the second is answered", () => {
      attempt.delta("still here ");
      return second;
    });
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    await attempt.end();
    expect((await first).status).toBe(200);
    await untilSettled(consumer);
  });
});

describe("after the first token an answer is whole or says that it is not", () => {
  const losses: Record<string, (attempt: FakeAttempt) => void> = {
    "is lost": (attempt) => attempt.worker.close(),
    fails: (attempt) => attempt.fail("engine_failed", "the engine fell over"),
    "stops by itself": (attempt) => void attempt.end({ frame: { outcome: "cancelled" } }),
    stalls: () => undefined,
  };

  test.each(Object.entries(losses))(
    "a worker that %s ends the stream with an error, and nobody pays",
    async (_what, lose) => {
      const model = newModel();
      const consumer = await newFunded();
      const worker = await serve(model, {
        script: (attempt) => {
          attempt.accept();
          attempt.delta("half an ");
          lose(attempt);
        },
      });
      await untilListed(model);
      const response = await chat(consumer, model, { stream: true });
      expect(response.status).toBe(200);
      const { text, error, reasons, isDone } = await readStream(response);
      expect({ text, reasons, isDone }).toEqual({
        text: "half an ",
        reasons: ["error"],
        isDone: false,
      });
      expect(error?.code).toBe("worker_failed");
      expect((await untilSettled(consumer)).balance).toBe(10_000_000n);
      expect(worker.attempts).toHaveLength(1);
    },
  );

  test("a receipt over other text than was relayed is not paid, and its worker is closed", async () => {
    const model = newModel();
    const consumer = await newFunded();
    const worker = await serve(model, {
      script: async (attempt) => {
        attempt.delta("real");
        await attempt.end({ receipt: { output_hash: "ee".repeat(32) } });
      },
    });
    await untilListed(model);
    const response = await chat(consumer, model, { stream: true });
    expect(await readStream(response)).toMatchObject({ text: "real", isDone: true });
    expect(await worker.ending()).toMatchObject({ code: closeCodes.malformed });
    const { task, receipts } = await storedTask(consumer, taskOf(response));
    expect(task).toMatchObject({ state: "void", finish: "receipt_invalid", costMicros: 0n });
    expect(receipts).toEqual([]);
  });

  test("claimed tokens are paid up to the bytes that were delivered", async () => {
    const model = newModel();
    const consumer = await newFunded();
    await serve(model, {
      script: async (attempt) => {
        attempt.parts([{ index: 0, tokens: 900, text: "four" }]);
        await attempt.end();
      },
    });
    await untilListed(model);
    const response = await chat(consumer, model);
    const answer = (await response.json()) as { usage: { completion_tokens: number } };
    expect(answer.usage.completion_tokens).toBe(4);
    const { task } = await storedTask(consumer, taskOf(response));
    expect(task.completionTokens).toBe(4);
  });

  test("an answer of no tokens costs nothing", async () => {
    const model = newModel();
    const consumer = await newFunded();
    await serve(model, { script: answering() });
    await untilListed(model);
    const response = await chat(consumer, model, { stream: true });
    expect(await readStream(response)).toMatchObject({ text: "", reasons: ["stop"], isDone: true });
    expect((await untilSettled(consumer)).balance).toBe(10_000_000n);
  });
});

describe("frames that come late, twice or out of order have no effect", () => {
  test("repeats and gaps within an attempt", async () => {
    const model = newModel();
    const consumer = await newFunded();
    await serve(model, {
      script: async (attempt) => {
        const frame = { type: "task.delta", attempt: attempt.offer.attempt } as const;
        const parts = [{ index: 0, tokens: 1, text: "never " }];
        attempt.worker.send({ ...frame, seq: 7, parts });
        attempt.delta("once");
        attempt.worker.send({ ...frame, seq: 0, parts });
        await attempt.end();
      },
    });
    await untilListed(model);
    const response = await chat(consumer, model, { stream: true });
    expect(await readStream(response)).toMatchObject({ text: "once", isDone: true });
    const { task } = await storedTask(consumer, taskOf(response));
    expect(task.completionTokens).toBe(1);
  });

  test("everything about an attempt that is over", async () => {
    const model = newModel();
    const consumer = await newFunded();
    const worker = await serve(model, { script: answering("done") });
    await untilListed(model);
    const response = await chat(consumer, model);
    expect(response.status).toBe(200);
    const settled = await untilSettled(consumer);
    const attempt = await worker.attempt();
    attempt.delta("more");
    attempt.fail("engine_failed", "too late");
    attempt.refuse();
    await attempt.end();
    worker.publish();
    await until("the hub has read them all", () => worker.all("listing.result").length === 2);
    expect(worker.closed).toBeNull();
    expect(await summaryOf(consumer)).toEqual(settled);
  });

  test("frames about another worker's attempt", async () => {
    const model = newModel();
    const consumer = await newFunded();
    const worker = await serve(model);
    const stranger = await serve(newModel());
    await untilListed(model);
    const answered = chat(consumer, model, { stream: true });
    const attempt = await worker.attempt();
    attempt.delta("mine");
    const stolen = { type: "task.delta", attempt: attempt.offer.attempt, seq: 1 } as const;
    stranger.send({ ...stolen, parts: [{ index: 0, tokens: 1, text: "stolen" }] });
    stranger.publish();
    await until("the hub has read it", () => stranger.all("listing.result").length === 2);
    await attempt.end();
    expect(await readStream(await answered)).toMatchObject({ text: "mine", isDone: true });
    await untilSettled(consumer);
  });
});

describe("a consumer that leaves", () => {
  test("is a cancel at the worker, and pays for what was delivered", async () => {
    const model = newModel();
    const consumer = await newFunded();
    const worker = await serve(model, {
      script: (attempt) => {
        attempt.accept();
        attempt.delta("some ");
        attempt.delta("words");
      },
    });
    await untilListed(model);
    const response = await chat(consumer, model, { stream: true });
    const reader = response.body?.getReader();
    await reader?.read();
    await reader?.cancel();
    const attempt = await worker.attempt();
    const { reason } = await until("the worker is told", () => attempt.cancelled);
    expect(reason).toBe("consumer_gone");
    await attempt.end({ frame: { finishes: [] } });
    const { task, attempts } = await storedTask(consumer, taskOf(response));
    expect(task).toMatchObject({ state: "settled", finish: "cancelled", completionTokens: 2 });
    expect(attempts).toMatchObject([{ outcome: "cancelled" }]);
    expect((await untilSettled(consumer)).balance).toBeLessThan(10_000_000n);
    expect(await ledgerSum()).toBe(0n);
  });

  test("a worker that makes more than was granted after a cancel is closed", async () => {
    const model = newModel();
    const consumer = await newFunded();
    const worker = await serve(model, { script: (attempt) => attempt.delta("some") });
    await untilListed(model);
    const response = await chat(consumer, model, { stream: true });
    await response.body?.cancel();
    const attempt = await worker.attempt();
    // An idle stream notices nothing: the edge learns of it when it writes next.
    await until("the worker is told", () => {
      attempt.delta(".");
      return attempt.cancelled;
    });
    for (let sent = 0; sent < 4; sent++) attempt.delta("x".repeat(50_000));
    expect(await worker.ending()).toMatchObject({ code: closeCodes.malformed });
    const { task } = await storedTask(consumer, taskOf(response));
    expect(task.completionTokens).toBeLessThan(64 * 1024);
  });
});

describe("windows", () => {
  test("a consumer that does not read stops its worker, and reading opens the window", async () => {
    const model = newModel();
    const consumer = await newFunded();
    const worker = await serve(model);
    await untilListed(model);
    const answered = chat(consumer, model, {
      stream: true,
      body: { max_completion_tokens: 2_000 },
    });
    const attempt = await worker.attempt();
    const piece = "x".repeat(1_000);
    attempt.delta(piece);
    const response = await answered;
    // An honest worker sends while its window is open: the unread answer must not grow for ever.
    let sent = 1;
    const isShut = async () => {
      while (attempt.windowBytes >= piece.length) {
        attempt.delta(piece);
        sent += 1;
        if (sent > 20_000) throw new Error("The window never shuts");
      }
      attempt.worker.publish();
      const results = attempt.worker.all("listing.result").length;
      await until("the hub has read all", () => {
        return attempt.worker.all("listing.result").length > results;
      });
      return attempt.windowBytes < piece.length;
    };
    await until("the window stays shut", isShut);
    const unread = sent;
    expect(unread).toBeLessThan(10_000);

    const reading = readStream(response);
    await until("the window opens", () => attempt.windowBytes >= piece.length);
    attempt.delta(piece);
    await attempt.end();
    const { text, isDone } = await reading;
    expect(isDone).toBe(true);
    expect(text).toHaveLength((unread + 1) * piece.length);
    await untilSettled(consumer);
  });

  test("a worker that sends more than it was granted is closed, and its answer ends in an error", async () => {
    const model = newModel();
    const consumer = await newFunded();
    const worker = await serve(model, {
      script: (attempt) => {
        attempt.delta("the beginning");
        attempt.delta("x".repeat(200_000));
      },
    });
    await untilListed(model);
    const response = await chat(consumer, model, { stream: true });
    const { error, isDone } = await readStream(response);
    expect({ code: error?.code, isDone }).toEqual({ code: "worker_failed", isDone: false });
    expect(await worker.ending()).toMatchObject({ code: closeCodes.malformed });
  });
});
