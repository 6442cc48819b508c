import { Ajv2020 } from "ajv/dist/2020.js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chat, collect } from "./collect.ts";
import type { TinyEngine } from "./tiny-engine.ts";
import { openTinyEngine } from "./tiny-engine.ts";

let tiny: TinyEngine;

beforeAll(async () => {
  tiny = await openTinyEngine();
});
afterAll(() => tiny[Symbol.asyncDispose]());

const word = { type: "string", maxLength: 8 };

const schemas: readonly (readonly [string, Record<string, unknown>])[] = [
  [
    "required and optional properties",
    {
      type: "object",
      properties: { a: word, b: { type: "integer" }, c: { type: "boolean" }, d: { type: "null" } },
      required: ["b", "d"],
      additionalProperties: false,
    },
  ],
  ["only optional properties", { type: "object", properties: { a: word, b: word } }],
  ["a bounded integer", { type: "integer", minimum: -3, maximum: 117 }],
  ["a number", { type: "number" }],
  ["a list of bounded length", { type: "array", items: word, minItems: 2, maxItems: 3 }],
  ["a tuple", { type: "array", prefixItems: [word, { type: "boolean" }], items: false }],
  ["an enumeration", { enum: ["red", 'qu"ote', 3, null, { deep: [1] }] }],
  ["a length in characters", { type: "string", minLength: 4, maxLength: 6 }],
  ["a choice", { anyOf: [{ type: "boolean" }, { type: "array", items: word, maxItems: 1 }] }],
  ["several types", { type: ["boolean", "null"] }],
  [
    "options told apart by a constant",
    {
      oneOf: [
        { type: "object", properties: { kind: { const: "a" }, x: word }, required: ["kind", "x"] },
        { type: "object", properties: { kind: { const: "b" } }, required: ["kind"] },
      ],
    },
  ],
  [
    "a schema that refers to itself",
    {
      $defs: {
        node: {
          type: "object",
          properties: { name: word, next: { anyOf: [{ type: "null" }, { $ref: "#/$defs/node" }] } },
          required: ["name", "next"],
        },
      },
      $ref: "#/$defs/node",
    },
  ],
  ["a date", { type: "string", format: "date" }],
  ["a moment", { type: "string", format: "date-time" }],
  ["an id", { type: "string", format: "uuid" }],
  ["an address", { type: "string", format: "email" }],
  ["a map", { type: "object", additionalProperties: { type: "boolean" } }],
];

describe("with response_format the answer", () => {
  test("is a JSON object for json_object", async () => {
    const fields = { temperature: 0, response_format: { type: "json_object" as const } };
    const { texts, end } = await collect(tiny.engine, chat("Give me a JSON object", fields));
    expect(end.finishes).toEqual([{ index: 0, reason: "stop" }]);
    expect(Object.keys(JSON.parse(texts[0] ?? "") as object).length).toBeGreaterThan(0);
  });

  test.each(schemas)("validates against %s", async (_name, schema) => {
    const json_schema = { name: "thing", schema };
    const validate = new Ajv2020({ validateFormats: false, strictTuples: false }).compile(schema);
    let finished = 0;
    for (let seed = 0; seed < 4; seed++) {
      const response_format = { type: "json_schema" as const, json_schema };
      const task = chat("Give me a JSON object", { seed, max_tokens: 300, response_format });
      const { texts, end } = await collect(tiny.engine, task);
      // Cut off by length it need not parse; whatever the model itself ended must.
      if (end.finishes[0]?.reason !== "stop") continue;
      finished++;
      expect(validate(JSON.parse(texts[0] ?? "")), texts[0]).toBe(true);
    }
    expect(finished).toBeGreaterThan(0);
  });

  test("never has half a character in a part, and tells the bytes of its tokens", async () => {
    const schema = { const: "naïve 🐙 日本" };
    const response_format = { type: "json_schema" as const, json_schema: { name: "x", schema } };
    const task = chat("Hi", { response_format, logprobs: true });
    const { events, texts, logprobs } = await collect(tiny.engine, task);
    expect(JSON.parse(texts[0] ?? "")).toBe("naïve 🐙 日本");
    for (const event of events) {
      if (event.kind === "part") expect(event.part.text ?? "").not.toContain("\uFFFD");
    }
    const bytes = logprobs.flatMap((entry) => entry.bytes ?? []);
    expect(new TextDecoder().decode(Uint8Array.from(bytes))).toBe(texts[0]);
  });

  test("comes also where its tokens are banned, of which the form leaves no others", async () => {
    const logit_bias = Object.fromEntries(Array.from({ length: 1024 }, (_, id) => [id, -100]));
    const schema = { const: { a: 1 } };
    const response_format = { type: "json_schema" as const, json_schema: { name: "x", schema } };
    const { texts, end } = await collect(tiny.engine, chat("Hi", { response_format, logit_bias }));
    expect(JSON.parse(texts[0] ?? "")).toEqual({ a: 1 });
    expect(end.finishes).toEqual([{ index: 0, reason: "stop" }]);
  });

  test("is refused where the schema cannot be kept", async () => {
    const schema = { type: "string", pattern: "a+" };
    const response_format = { type: "json_schema" as const, json_schema: { name: "x", schema } };
    await expect(collect(tiny.engine, chat("Hi", { response_format }))).rejects.toMatchObject({
      code: "invalid_request",
      message: `Cannot keep the JSON schema's "pattern": this keyword is not supported`,
    });
  });
});
