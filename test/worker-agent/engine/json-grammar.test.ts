import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { jsonSchemaGrammar } from "../../../worker-agent/engine/tools/json-grammar.ts";
import {
  integerExpression,
  literal,
} from "../../../worker-agent/engine/tools/json-grammar-text.ts";

type Refused = readonly [keyword: string, schema: Record<string, unknown>];

const refused: readonly Refused[] = [
  ["pattern", { type: "string", pattern: "a+" }],
  ["format", { type: "string", format: "iri" }],
  ["multipleOf", { type: "integer", multipleOf: 2 }],
  ["minimum", { type: "number", minimum: 1 }],
  ["minProperties", { type: "object", minProperties: 1 }],
  ["patternProperties", { type: "object", patternProperties: {} }],
  ["uniqueItems", { type: "array", uniqueItems: true }],
  ["not", { not: { type: "string" } }],
  ["allOf", { allOf: [{ type: "string" }, { maxLength: 3 }] }],
  ["oneOf", { oneOf: [{ type: "number" }, { type: "integer" }] }],
  ["maxLength", { enum: ["a"], maxLength: 3 }],
  ["$ref", { $ref: "#/$defs/missing" }],
  ["$ref", { $ref: "https://example.org/schema" }],
  ["type", { type: "text" }],
  ["enum", { type: "string", enum: [1, 2] }],
  ["minLength", { type: "string", minLength: 5, maxLength: 4 }],
  ["maxItems", { type: "array", prefixItems: [{}, {}], maxItems: 1 }],
];

describe("a JSON schema as a grammar", () => {
  test.each(refused)("what cannot be promised is refused by name: %s in %j", (keyword, schema) => {
    const wrapped = { type: "object", properties: { field: schema }, required: ["field"] };
    const convert = (): unknown => jsonSchemaGrammar("$ref" in schema ? schema : wrapped);
    expect(convert).toThrow(expect.objectContaining({ code: "invalid_request" }));
    expect(convert).toThrow(`Cannot keep the JSON schema's "${keyword}"`);
  });

  test("oneOf is kept where a constant tells its options apart", () => {
    const option = (kind: string) => ({
      type: "object",
      properties: { kind: { const: kind } },
      required: ["kind"],
    });
    expect(() => jsonSchemaGrammar({ oneOf: [option("a"), option("b")] })).not.toThrow();
    expect(() => jsonSchemaGrammar({ oneOf: [option("a"), option("a")] })).toThrow("overlap");
  });

  test("a schema may refer to itself", () => {
    const grammar = jsonSchemaGrammar({
      $defs: {
        node: { type: "object", properties: { next: { $ref: "#/$defs/node" } } },
      },
      $ref: "#/$defs/node",
    });
    expect(grammar.match(/^ref0 ::=/gm)).toHaveLength(1);
  });

  test("annotations change nothing", () => {
    const bare = { type: "object", properties: { a: { type: "string" } } };
    const described = { ...bare, title: "T", description: "D", $schema: "x", "x-own": 1 };
    expect(jsonSchemaGrammar(described)).toBe(jsonSchemaGrammar(bare));
  });

  test("text is quoted so that the grammar reads it back as it was", () => {
    expect(literal('say "hi"\n')).toBe(String.raw`"\"say \\\"hi\\\"\\n\""`);
  });

  test("integers match exactly within their bounds", () => {
    const bound = fc.integer({ min: -12_000, max: 12_000 });
    fc.assert(
      fc.property(bound, bound, fc.integer({ min: -13_000, max: 13_000 }), (a, b, probe) => {
        const [minimum, maximum] = [Math.min(a, b), Math.max(a, b)];
        const expression = integerExpression({ minimum, maximum });
        const pattern = new RegExp(`^(?:${expression.replaceAll(/[" ]/g, "")})$`);
        for (const value of [probe, minimum - 1, minimum, maximum, maximum + 1]) {
          expect(pattern.test(String(value))).toBe(value >= minimum && value <= maximum);
        }
      }),
    );
  });
});
