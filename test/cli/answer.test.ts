import { existsSync, readFileSync, statSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { describe, expect, onTestFinished, test } from "vitest";
import { Interrupts } from "../../cli/interrupts.ts";
import { fail, FakeEdge, type FakeRoute } from "../helpers/fake-edge.ts";
import { OctoMachine, type RunOptions } from "../helpers/octo-run.ts";
import { until } from "../helpers/until.ts";

const model = {
  id: "fox",
  octo: {
    quantization: "Q8_0",
    context_tokens: 512,
    input_micros_per_million: 1,
    output_micros_per_million: 1,
    abilities: ["chat"],
    regions: ["weur"],
    workers: 1,
    free_slots: 1,
    slots: 1,
  },
};

const head = { "content-type": "text/event-stream", "x-octo-task": "tsk_1", "x-octo-worker": "w" };

function begin(response: ServerResponse): void {
  response.writeHead(200, { ...head, "x-octo-event-id": "weur:0:0" });
}

/** An event with its place, as the edge numbers them. */
function event(place: number, content: string, more: Record<string, unknown> = {}): string {
  const choices = [{ index: 0, delta: { content }, finish_reason: null, ...more }];
  return `id: weur:0:${place}\ndata: ${JSON.stringify({ choices })}\n\n`;
}

const usage = { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 };
const usageEvent = `data: ${JSON.stringify({ choices: [], usage })}\n\n`;
const done = "data: [DONE]\n\n";

async function newEdge(routes: Record<string, FakeRoute>): Promise<FakeEdge> {
  const edge = await FakeEdge.start({ "GET /v1/models": () => ({ data: [model] }), ...routes });
  onTestFinished(() => edge[Symbol.asyncDispose]());
  return edge;
}

const chatRoute = "POST /v1/chat/completions";
const restRoute = "GET /v1/tasks/tsk_1/stream";

function ask(edge: FakeEdge, words: readonly string[], options: RunOptions = {}) {
  const octo = new OctoMachine();
  return octo.run(["ask", "--url", edge.url, "--key", "k", ...words], options);
}

describe("an answer", () => {
  test("comes as it is made, of the first model that chats, with what was asked", async () => {
    const edge = await newEdge({
      [chatRoute]: (_request, response) => {
        begin(response);
        response.end(
          event(1, "a ") + event(2, "fox", { finish_reason: "stop" }) + usageEvent + done,
        );
      },
      "GET /api/v1/tasks/tsk_1": () => ({
        id: "tsk_1",
        kind: "chat",
        model: "fox",
        region: "weur",
        strategy: "cost",
        class: "public",
        state: "settled",
        finish: "stop",
        error_code: null,
        attempts_made: 1,
        prompt_tokens: 3,
        completion_tokens: 2,
        hold_micros: 9,
        cost_micros: 7,
        created_at: "2026-11-28T12:00:00.000Z",
        first_token_at: null,
        ended_at: "2026-11-28T12:00:01.000Z",
      }),
    });
    const words = ["--usage", "--system", "Be a fox", "--strategy", "cost", "--max-tokens", "9"];
    const { code, out, err } = await ask(edge, [...words, "Who", "are you?"]);
    expect([code, out]).toEqual([0, "a fox\n"]);
    expect(err).toMatch(/^octo: 3 tokens read, 2 written; .*; 0\.000007 credits; tsk_1\n$/);
    expect(edge.requests.find(({ method }) => method === "POST")?.body).toEqual({
      model: "fox",
      messages: [
        { role: "system", content: "Be a fox" },
        { role: "user", content: "Who are you?" },
      ],
      stream: true,
      stream_options: { include_usage: true },
      max_tokens: 9,
      octo: { strategy: "cost" },
    });
  });

  test("moves no cursor of a terminal, and is left as it is for a program", async () => {
    const edge = await newEdge({
      [chatRoute]: (_request, response) => {
        begin(response);
        response.end(event(1, "\u001b[2Jfox\n") + done);
      },
    });
    expect((await ask(edge, ["hi"], { columns: 80 })).out).toBe("[2Jfox\n");
    expect((await ask(edge, ["hi"])).out).toBe("\u001b[2Jfox\n");
  });

  test("to a question on standard input, alone or among words", async () => {
    const edge = await newEdge({
      [chatRoute]: ({ body }, response) => {
        begin(response);
        const { messages } = body as { messages: { content: string }[] };
        response.end(event(1, JSON.stringify(messages[0]?.content)) + done);
      },
    });
    expect((await ask(edge, [], { input: "Why?\n" })).out).toBe('"Why?"\n');
    const among = await ask(edge, ["Review", "this:", "-"], { input: "diff\n" });
    expect(JSON.parse(among.out)).toBe("Review this: \n\ndiff");
    expect(await ask(edge, [], { input: " \n" })).toMatchObject({
      code: 1,
      err: "octo: The question is empty: nothing was asked\n",
    });
  });
});

describe("a connection that breaks", () => {
  /** Breaks off behind the first event, in the middle of the second. */
  const breaking: FakeRoute = (_request, response) => {
    begin(response);
    response.write(event(1, "one ") + event(2, "two ").slice(0, -9), () => response.destroy());
  };

  test("is taken up behind the last event that came whole", async () => {
    let breaks = 0;
    const edge = await newEdge({
      [chatRoute]: breaking,
      [restRoute]: ({ headers }, response) => {
        if (headers["last-event-id"] !== "weur:0:1") return fail(response, 404, "not_found", "No");
        breaks += 1;
        if (breaks < 3) return void response.destroy();
        response.writeHead(200, head);
        response.end(event(2, "two ") + event(3, "three") + done);
        return undefined;
      },
    });
    const { code, out, err } = await ask(edge, ["count"]);
    expect([code, out]).toEqual([0, "one two three\n"]);
    expect(err).toContain("octo: the connection was lost; taking the answer up again");
  });

  test("ends in a clear error where the edge has not got the rest", async () => {
    const edge = await newEdge({ [chatRoute]: breaking });
    const { code, out, err } = await ask(edge, ["count"]);
    expect([code, out]).toEqual([1, "one \n"]);
    expect(err).toContain("cannot be taken up again: There is no /v1/tasks/tsk_1/stream");
  });

  test("is never a short answer that looks whole, even where it ends in peace", async () => {
    const edge = await newEdge({
      [chatRoute]: (_request, response) => {
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.end(event(1, "one "));
      },
    });
    const { code, err } = await ask(edge, ["count"]);
    expect([code, err]).toEqual([1, expect.stringContaining("the edge does not offer it")]);
  });

  test("that the edge broke off itself is told by its reason", async () => {
    const edge = await newEdge({
      [chatRoute]: (_request, response) => {
        begin(response);
        const error = { message: "The worker was lost", code: "worker_failed" };
        const choices = [{ index: 0, delta: {}, finish_reason: "error" }];
        response.end(`${event(1, "one")}data: ${JSON.stringify({ choices, error })}\n\n`);
      },
    });
    expect(await ask(edge, ["count"])).toEqual({
      code: 1,
      out: "one\n",
      err: "octo: The answer broke off: The worker was lost\n",
    });
  });
});

test("Ctrl-C hangs up, says nothing more, and is exit code 130", async () => {
  let isGone = false;
  const edge = await newEdge({
    [chatRoute]: (_request, response) => {
      begin(response);
      response.write(event(1, "one "));
      response.once("close", () => (isGone = true));
    },
  });
  const interrupts = new Interrupts();
  const onOut = () => interrupts.raise();
  const { code, out, err } = await ask(edge, ["count"], { interrupts, onOut });
  expect([code, out, err]).toEqual([130, "one \n", ""]);
  await until("the edge knows", () => isGone);
});

describe("a chat on a pipe", () => {
  /** Answers with how many messages it was asked with, and the model. */
  const counting: FakeRoute = ({ body }, response) => {
    const { messages, model: name } = body as { messages: unknown[]; model: string };
    begin(response);
    response.end(event(1, `${name} heard ${messages.length}`) + done);
  };

  function chat(edge: FakeEdge, octo: OctoMachine, lines: readonly string[]) {
    const words = ["chat", "--url", edge.url, "--key", "k"];
    return octo.run(words, { input: lines.join("\n") });
  }

  test("remembers, forgets, changes its model, and saves what was said", async () => {
    const other = { ...model, id: "otter" };
    const edge = await newEdge({
      [chatRoute]: counting,
      "GET /v1/models": () => ({ data: [model, other] }),
    });
    const octo = new OctoMachine();
    const lines = ["one", "", "two", "/model otter", "three", "/save talk.json", "/save talk.md"];
    const { code, out } = await chat(edge, octo, [...lines, "/clear", "//four", "/exit", "five"]);
    expect([code, out.split("\n")]).toEqual([
      0,
      ["fox heard 1", "fox heard 3", "otter heard 5", "otter heard 1", ""],
    ]);
    const saved: unknown = JSON.parse(readFileSync(octo.path("talk.json"), "utf8"));
    expect(saved).toMatchObject({ messages: [{ content: "one" }, {}, {}, {}, {}, {}] });
    expect(readFileSync(octo.path("talk.md"), "utf8")).toContain("**You**\n\none\n");
    expect(edge.requests.at(-1)?.body).toMatchObject({ messages: [{ content: "/four" }] });
    // What a program sends is no line that a person would look for again.
    expect(existsSync(octo.path(".local", "state", "octo", "history"))).toBe(false);
  });

  test("ends at the first line that goes wrong, with exit code 1", async () => {
    const edge = await newEdge({ [chatRoute]: counting });
    for (const [line, said] of [
      ["/frob", "There is no /frob; /help tells what there is"],
      ["/save", "/save takes a FILE"],
      ["/clear all", "/clear takes nothing"],
      ["/model otter", 'No model "otter" chats now; those that do: fox'],
      ["/save /dev/null/x", "Cannot write /dev/null/x"],
    ] as const) {
      const { code, out, err } = await chat(edge, new OctoMachine(), [line, "one"]);
      expect([code, out]).toEqual([1, ""]);
      expect(err).toContain(`octo: ${said}`);
    }
  });

  test("never writes over a file", async () => {
    const edge = await newEdge({ [chatRoute]: counting });
    const octo = new OctoMachine();
    const { code, err } = await chat(edge, octo, ["one", "/save a.md", "/save a.md"]);
    expect([code, err]).toEqual([1, expect.stringContaining("it is there already")]);
  });
});

describe("a chat with a person", () => {
  const history = [".local", "state", "octo", "history"] as const;

  function chat(edge: FakeEdge, octo: OctoMachine, typed: readonly string[]) {
    return octo.run(["chat", "--url", edge.url, "--key", "k"], { typed });
  }

  test("goes on behind a mistake, and keeps what was typed, but not behind a space", async () => {
    const edge = await newEdge({
      [chatRoute]: (_request, response) => {
        begin(response);
        response.end(event(1, "a fox") + done);
      },
    });
    const octo = new OctoMachine();
    const typed = ["/frob\r", "Who?\r", " a secret\r", "/exit\r"];
    const { code, out, err } = await chat(edge, octo, typed);
    expect([code, out]).toEqual([0, "a fox\na fox\n"]);
    expect(err).toContain("octo: There is no /frob; /help tells what there is");
    const path = octo.path(...history);
    expect(readFileSync(path, "utf8")).toBe("/frob\nWho?\n/exit\n");
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test("is left by Ctrl-C twice, not by one, and by Ctrl-D", async () => {
    const edge = await newEdge({});
    const twice = await chat(edge, new OctoMachine(), ["\u0003", "/help\r", "\u0003", "\u0003"]);
    expect(twice.code).toBe(130);
    expect([...twice.err.matchAll(/Ctrl-C again or Ctrl-D leaves/g)]).toHaveLength(2);
    expect((await chat(edge, new OctoMachine(), ["\u0004"])).code).toBe(0);
  });
});
