import { Ajv } from "ajv";
import { describe, expect, test } from "vitest";
import { createSyntheticEngine } from "../../../worker-agent/engine/synthetic/synthetic.ts";
import type { SyntheticClock } from "../../../worker-agent/engine/synthetic/synthetic.ts";
import { chat, collect, completion } from "./collect.ts";

/** A clock that jumps to the end of every wait and remembers where it stood. */
function jumpingClock(): SyntheticClock & { waits: number[] } {
  let now = 0;
  const waits: number[] = [];
  return {
    waits,
    nowMs: () => now,
    async wait(ms) {
      waits.push(ms);
      now += ms;
    },
  };
}

describe("the synthetic engine", () => {
  test("answers the same words to the same request and counts them", async () => {
    const engine = createSyntheticEngine({ answerTokens: 3 });
    const first = await collect(engine, chat("Hello there"));
    expect(first.texts).toEqual(["word1 word2 word3"]);
    expect(first.end.usage).toEqual({ prompt: 6, completion: 3, cached: 0 });
    expect(first.end.finishes).toEqual([{ index: 0, reason: "stop" }]);
    expect((await collect(engine, chat("Hello there"))).events).toEqual(first.events);
  });

  test("without a rate gives the first token alone and the rest as one part", async () => {
    const { events } = await collect(createSyntheticEngine(), chat("[synthetic tokens=500]"));
    const counts = events.map((event) => (event.kind === "part" ? event.part.tokens : "end"));
    expect(counts).toEqual([1, 499, "end"]);
  });

  test("with burst=1 gives every token in its own part", async () => {
    const { events } = await collect(createSyntheticEngine(), chat("[synthetic tokens=9 burst=1]"));
    expect(events).toHaveLength(10);
  });

  test("paces tokens by the rate and waits before the first one", async () => {
    const clock = jumpingClock();
    const engine = createSyntheticEngine({}, clock);
    await collect(engine, chat("[synthetic tokens=3 rate=20 delay=500]"));
    expect(clock.waits).toEqual([500, 50, 50]);
  });

  test("answers with the script's text and stops before a stop sequence", async () => {
    const engine = createSyntheticEngine();
    const script = '[synthetic text="one two three four"]';
    expect((await collect(engine, chat(script))).texts).toEqual(["one two three four"]);
    const stopped = await collect(engine, chat(script, { stop: "o th" }));
    expect(stopped.texts).toEqual(["one tw"]);
    expect(stopped.end.usage.completion).toBe(3);
    expect(stopped.end.finishes).toEqual([{ index: 0, reason: "stop" }]);
  });

  test("calls the tool the script names, with its arguments", async () => {
    const script = `[synthetic tool="weather" args='{"cities":["Rome"]}']`;
    const { events, end } = await collect(createSyntheticEngine(), chat(script));
    const [part] = events;
    expect(part?.kind === "part" && part.part.tool_calls).toEqual([
      { index: 0, id: "call_synthetic_0", name: "weather", arguments: '{"cities":["Rome"]}' },
    ]);
    expect(end.finishes).toEqual([{ index: 0, reason: "tool_calls" }]);
  });

  test("fails with the asked code after the asked number of tokens", async () => {
    const engine = createSyntheticEngine({ slots: 1 });
    let parts = 0;
    const failing = collect(
      engine,
      chat("[synthetic tokens=50 fail=engine_failed after=10 burst=1]"),
      new AbortController().signal,
      () => parts++,
    );
    await expect(failing).rejects.toMatchObject({ code: "engine_failed" });
    expect(parts).toBe(10);
    expect((await collect(engine, chat("Still there?"))).texts).toHaveLength(1);
  });

  test("hangs until it is aborted, then ends with what was made", async () => {
    const abort = new AbortController();
    const task = chat("[synthetic tokens=50 hang after=10 burst=1]");
    const { end } = await collect(createSyntheticEngine(), task, abort.signal, (parts) => {
      if (parts === 10) setTimeout(() => abort.abort(), 1);
    });
    expect(end.usage.completion).toBe(10);
    expect(end.finishes).toEqual([]);
  });

  test("answers a script it does not understand like any other text", async () => {
    const engine = createSyntheticEngine({ answerTokens: 2 });
    for (const prompt of ["[synthetic tokens=many]", "[synthetic dance]", "[synthetic tokens=9"]) {
      expect((await collect(engine, chat(prompt))).texts).toEqual(["word1 word2"]);
    }
  });

  test("ends by length at max_tokens and at the end of the context", async () => {
    const engine = createSyntheticEngine({ contextTokens: 20 });
    const short = await collect(engine, chat("Hi", { max_tokens: 4 }));
    expect(short.end.usage.completion).toBe(4);
    expect(short.end.finishes).toEqual([{ index: 0, reason: "length" }]);
    const full = await collect(engine, completion("one two three"));
    expect(full.end.usage).toEqual({ prompt: 3, completion: 17, cached: 0 });
    const long = collect(engine, completion("word ".repeat(20)));
    await expect(long).rejects.toMatchObject({ code: "context_length_exceeded" });
    await expect(long).rejects.toThrow(/20 tokens/);
  });

  test("gives every choice its own words and a seed other words, each the same again", async () => {
    const engine = createSyntheticEngine({ answerTokens: 1 });
    expect((await collect(engine, chat("Hi", { n: 2 }))).texts).toEqual(["word1", "word1-1"]);
    expect((await collect(engine, chat("Hi", { seed: 7 }))).texts).toEqual(["word1-7"]);
  });

  test("gives one log probability a token", async () => {
    const task = chat("Hi", { logprobs: true, top_logprobs: 2, max_tokens: 3 });
    const { logprobs } = await collect(createSyntheticEngine(), task);
    expect(logprobs.map((entry) => entry.token)).toEqual(["word1", " word2", " word3"]);
    expect(logprobs[0]?.top_logprobs).toHaveLength(2);
  });

  test("answers a JSON schema with an instance that validates", async () => {
    const schema = {
      type: "object",
      properties: {
        name: { type: "string", minLength: 6 },
        count: { type: "integer", minimum: 3 },
        kind: { enum: ["a", "b"] },
        tags: { type: "array", items: { $ref: "#/$defs/tag" }, minItems: 2 },
        either: { anyOf: [{ type: "boolean" }, { type: "null" }] },
      },
      required: ["name", "count", "kind", "tags", "either"],
      additionalProperties: false,
      $defs: { tag: { type: "string" } },
    };
    const format = { type: "json_schema" as const, json_schema: { name: "thing", schema } };
    const task = chat("Hi", { response_format: format });
    const { texts } = await collect(createSyntheticEngine(), task);
    expect(new Ajv().validate(schema, JSON.parse(texts[0] ?? ""))).toBe(true);
  });

  test("serves no more tasks at once than it has slots", async () => {
    const engine = createSyntheticEngine({ slots: 1 });
    const abort = new AbortController();
    const hanging = collect(engine, chat("[synthetic hang]"), abort.signal);
    const waiting = collect(engine, chat("[synthetic text=second]"));
    const order: string[] = [];
    void hanging.then(() => order.push("hanging"));
    void waiting.then(() => order.push("waiting"));
    abort.abort();
    await Promise.all([hanging, waiting]);
    expect(order).toEqual(["hanging", "waiting"]);
  });
});
