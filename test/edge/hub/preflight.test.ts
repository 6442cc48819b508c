import { describe, expect, test } from "vitest";
import { contextProbe, judge, type Probe, probesFor } from "../../../edge/hub/vetting/preflight.ts";
import type { ProbeAnswer } from "../../../edge/hub/vetting/probe-answer.ts";
import { chatRequestSchema } from "../../../shared/openai/chat-request.ts";
import { classificationRequestSchema } from "../../../shared/openai/classification-request.ts";
import { completionRequestSchema } from "../../../shared/openai/completion-request.ts";
import { abilities } from "../../../shared/openai/abilities.ts";
import { embeddingRequestSchema } from "../../../shared/openai/embedding-request.ts";
import { imageRequestSchema } from "../../../shared/openai/image-request.ts";
import { rerankRequestSchema } from "../../../shared/openai/rerank-request.ts";
import { transcriptionRequestSchema } from "../../../shared/openai/transcription-request.ts";
import { listing } from "./hub-scene.ts";

const everything = listing({ abilities: [...abilities, "param:top_k"], context_tokens: 8_192 });
const schemas = {
  chat: chatRequestSchema,
  completion: completionRequestSchema,
  embedding: embeddingRequestSchema,
  rerank: rerankRequestSchema,
  classification: classificationRequestSchema,
  transcription: transcriptionRequestSchema,
  image: imageRequestSchema,
} as const;

type Answered = Extract<ProbeAnswer, { kind: "answered" }>;

function answer(text: string, changes: Partial<Answered> = {}): Answered {
  return {
    kind: "answered",
    texts: [text],
    reasoning: "",
    calls: [],
    logprobs: [],
    tokens: 3,
    counts: { promptTokens: 50, completionTokens: 3 },
    finishes: ["stop"],
    ...changes,
  };
}

function probe(aim: string): Probe {
  const found = probesFor(everything, () => 0.5).find((one) => one.aim === aim);
  if (found === undefined) throw new Error(`nothing probes ${aim}`);
  return found;
}

const cut = { finishes: ["length"] } as const;
const call = (name: string, args: string) => ({ calls: [{ name, arguments: args }] });
const logprob = (value: number) => ({
  token: "a",
  logprob: value,
  bytes: null,
  top_logprobs: [],
});

describe("the probes of a listing", () => {
  test("are requests that consumers could send", () => {
    for (const { kind, request } of probesFor(everything, Math.random)) {
      expect(schemas[kind].safeParse(request).error).toBeUndefined();
    }
  });

  test("ask for each ability that can be checked once, and for no other", () => {
    const aims = probesFor(everything, () => 0).map(({ aim }) => aim);
    expect(new Set(aims).size).toBe(aims.length);
    expect(aims.slice(0, 7)).toEqual([
      "chat",
      "completions",
      "embeddings",
      "rerank",
      "classification",
      "transcription",
      "images",
    ]);
    expect(aims.slice(7).toSorted()).toEqual([
      "choices",
      "json_object",
      "json_schema",
      "logprobs",
      "seed",
      "tools",
      "vision",
      "word_timestamps",
    ]);
  });

  test("go by completions where there is no chat", () => {
    const plain = listing({ abilities: ["completions", "seed", "logprobs", "tools"] });
    const kinds = probesFor(plain, () => 0).map(({ aim, kind }) => [aim, kind]);
    expect(kinds).toEqual([
      ["completions", "completion"],
      ["seed", "completion"],
      ["logprobs", "completion"],
    ]);
  });

  test("fill most of a short context, some of a long one, and none of a tiny one", () => {
    const words = (context: number, tokensPerWord: number) =>
      contextProbe(listing({ context_tokens: context }), tokensPerWord, () => 0)?.words ?? null;
    expect(words(512, 1)).toBe(428);
    expect(words(512, 2)).toBe(214);
    expect(words(1_000_000, 1)).toBe(2_000);
    expect(words(64, 1)).toBeNull();
  });
});

describe("an engine is found wrong", () => {
  test.each<[string, string, Answered, string | null]>([
    ["says something", "chat", answer("hello"), null],
    [
      "says nothing at all",
      "chat",
      answer("", { tokens: 0, counts: none() }),
      "it answers nothing",
    ],
    ["only thinks before it is cut", "chat", answer("", { ...cut, reasoning: "hm" }), null],
    [
      "does not know when to stop",
      "chat",
      answer("long", { tokens: 99 }),
      "it made 99 tokens where 8 were asked",
    ],
    [
      "counts no prompt",
      "chat",
      answer("hi", { counts: { promptTokens: 0, completionTokens: 1 } }),
      "it counts no prompt tokens",
    ],
    ["gives one choice of two", "choices", answer("a"), "it ended 1 of 2 choices"],
    ["gives both choices", "choices", answer("a", { finishes: ["stop", "length"] }), null],
    ["gives an object", "json_object", answer(' {"a": [1]}'), null],
    ["begins an object and is cut", "json_object", answer('{"a": [1', cut), null],
    [
      "gives prose for JSON",
      "json_object",
      answer("Sure! {}"),
      "its JSON mode does not give a JSON object",
    ],
    [
      "gives prose for JSON and is cut",
      "json_object",
      answer("Sure! Here", cut),
      "its JSON mode does not give a JSON object",
    ],
    ["fits the schema", "json_schema", answer('{"colour":"blue"}'), null],
    [
      "fits it nearly",
      "json_schema",
      answer('{"colour":"pink"}'),
      "its JSON does not fit the schema asked for",
    ],
    [
      "adds to it",
      "json_schema",
      answer('{"colour":"red","x":1}'),
      "its JSON does not fit the schema asked for",
    ],
    ["calls", "tools", answer("", call("paint", '{"colour":"red"}')), null],
    ["talks instead", "tools", answer("green"), "it does not call a function that it must call"],
    [
      "talks until it is cut",
      "tools",
      answer("Sure! First, gather your supplies", cut),
      "it does not call a function that it must call",
    ],
    ["thinks until it is cut", "tools", answer(" ", { ...cut, reasoning: "hm" }), null],
    ["begins a call and is cut", "tools", answer("", { ...cut, ...call("pai", "") }), null],
    [
      "begins another and is cut",
      "tools",
      answer("", { ...cut, ...call("dig", "{") }),
      "it calls a function that was not offered",
    ],
    ...["chat", "seed", "tools", "json_object", "json_schema", "vision"].map(
      (aim): [string, string, Answered, string] => [
        "is cut before it says anything",
        aim,
        answer("", cut),
        "it answers nothing",
      ],
    ),
    [
      "calls another",
      "tools",
      answer("", call("dig", "{}")),
      "it calls a function that was not offered",
    ],
    [
      "calls with garbage",
      "tools",
      answer("", call("paint", '{"colour"')),
      "the arguments of its calls do not fit the function's schema",
    ],
    ["gives no logprobs", "logprobs", answer("abc"), "it gives no log probabilities"],
    [
      "gives one for three tokens",
      "logprobs",
      answer("abc", { logprobs: [logprob(-1)] }),
      "it gives 1 log probabilities for 3 tokens",
    ],
    [
      "gives impossible ones",
      "logprobs",
      answer("abc", { logprobs: [logprob(-1), logprob(0.5), logprob(0)] }),
      "it gives log probabilities above 0",
    ],
    [
      "gives one a token",
      "logprobs",
      answer("abc", { logprobs: [logprob(-1), logprob(0), logprob(-2)] }),
      null,
    ],
  ])("or not, where it %s (%s)", (_, aim, said, fault) => {
    expect(judge(probe(aim), [said])).toBe(fault);
  });

  test("where two answers of one seed differ", () => {
    expect(judge(probe("seed"), [answer("a"), answer("a")])).toBeNull();
    expect(judge(probe("seed"), [answer("a"), answer("b")])).toBe(
      "two answers to one request with one seed differ",
    );
  });

  test("where it fails, in its own words", () => {
    expect(judge(probe("vision"), [{ kind: "failed", message: "no eyes" }])).toBe("no eyes");
  });

  const a = floats(1, 0);
  const b = floats(0, 1);
  const labels = (...scores: number[]) => scores.map((score, at) => ({ label: `${at}`, score }));
  const transcript = { text: "", language: null, segments: null, words: null };
  test.each<[string, unknown, RegExp | null]>([
    ["embeddings", { vectors: [a, a, b] }, null],
    ["embeddings", { vectors: [a, b, b] }, /two equal texts have two different vectors/],
    ["embeddings", { vectors: [a, a, a] }, /two different texts have the same vector/],
    ["embeddings", { vectors: [a, a] }, /2 vectors where 3/],
    ["embeddings", { vectors: [floats(0, 0), floats(0, 0), a] }, /no length/],
    ["embeddings", "nothing", /is wrong/],
    ["rerank", { scores: [0.1, 0.9, 0.9] }, null],
    ["rerank", { scores: [0.1, 0.9, 0.5] }, /two equal documents have two scores/],
    ["rerank", { scores: [0.1, 0.9] }, /2 scores where 3/],
    ["classification", { labels: [labels(0.9, 0.1), labels(0.9, 0.1)] }, null],
    ["classification", { labels: [labels(0.9, 0.1), labels(0.5, 0.4)] }, /two different labels/],
    ["classification", { labels: [labels(0.1, 0.9), labels(0.1, 0.9)] }, /likeliest first/],
    ["transcription", { ...transcript, duration_s: 1 }, null],
    ["transcription", { ...transcript, duration_s: 99 }, /99 s in one second/],
    ["word_timestamps", { ...transcript, duration_s: 1 }, /no times of words/],
    ["word_timestamps", { ...transcript, words: [], duration_s: 1 }, null],
    ["images", { images: ["AAAA"], format: "png" }, /image 0 is no png/],
  ])("by the document it gives for %s: %j", (aim, document, fault) => {
    const found = judge(probe(aim), [answer(JSON.stringify(document))]);
    if (fault === null) expect(found).toBeNull();
    else expect(found).toMatch(fault);
  });
});

function none() {
  return { promptTokens: 5, completionTokens: 0 };
}

function floats(...values: readonly number[]): string {
  return Buffer.from(new Float32Array(values).buffer).toString("base64");
}
