import { EngineError } from "../engine.ts";
import type { Schema } from "./json-grammar-keywords.ts";
import {
  areDisjoint,
  asSchema,
  assertOnlyKnownKeywords,
  refuse,
  resolveLocalRef,
  typeOfValue,
  typesOf,
} from "./json-grammar-keywords.ts";
import {
  countOf,
  group,
  integerExpression,
  literal,
  numberExpression,
  repetitionsMax,
  stringExpression,
} from "./json-grammar-text.ts";

/*
 * JSON Schema (2020-12) to GBNF, the grammar language of llama.cpp.
 *
 * J1. Whatever the grammar lets through validates against the schema. Where that cannot be had the
 *     keyword is refused by name; the grammar may allow less than the schema (no extra properties,
 *     no huge repetitions).
 * J2. Properties come in the order of the schema; optional ones may be left out.
 */

/**
 * A schema of a few hundred rules is large; beyond this, compiling the grammar stalls the whole
 * worker.
 */
const rulesMax = 4000;

/** The rules every grammar of JSON refers to. */
export const commonRules: readonly string[] = [
  'ws ::= | " " | "\\n" [ \\t]{0,20}',
  String.raw`hex ::= [0-9a-fA-F]`,
  // No escaped surrogates: alone they are no character, and a pair would count twice against
  // maxLength.
  String.raw`escape ::= ["\\/bfnrt] | "u" ([0-9a-cefA-CEF] hex hex hex | [dD] [0-7] hex hex)`,
  String.raw`char ::= [^"\\\x7F\x00-\x1F] | "\\" escape`,
  String.raw`string ::= "\"" char* "\""`,
  String.raw`integer ::= "-"? ("0" | [1-9] [0-9]{0,14})`,
  String.raw`number ::= integer ("." [0-9]{1,15})? ([eE] [-+]? [0-9]{1,2})?`,
  String.raw`member ::= string ":" ws value`,
  String.raw`object ::= "{" ws (member ("," ws member)*)? ws "}"`,
  String.raw`array ::= "[" ws (value ("," ws value)*)? ws "]"`,
  String.raw`value ::= object | array | string | number | "true" | "false" | "null"`,
];

/** The grammar of any JSON object: `response_format: { type: "json_object" }`. */
export const jsonObjectGrammar = ["root ::= object", ...commonRules].join("\n");

/**
 * The grammar of `schema`. Throws EngineError `invalid_request` that names the keyword where a
 * schema asks for what a grammar cannot promise.
 */
export function jsonSchemaGrammar(schema: Schema): string {
  const { expression, rules } = jsonGrammarPart(schema, { namePrefix: "", isRelaxed: false });
  return [`root ::= ${expression}`, ...rules, ...commonRules].join("\n");
}

/** A schema's share of a grammar: what matches it, and the rules this refers to. */
export interface GrammarPart {
  readonly expression: string;
  readonly rules: readonly string[];
}

export interface GrammarPartOptions {
  /** Begins the names of all its rules, so that several schemas fit one grammar. */
  readonly namePrefix: string;
  /**
   * Lets through more than the schema where it asks for what a grammar cannot promise: the nearest
   * that can be had of that part (J1 then holds for all other parts).
   */
  readonly isRelaxed: boolean;
}

/** The same for a grammar of several schemas, which adds `commonRules` itself. */
export function jsonGrammarPart(schema: Schema, options: GrammarPartOptions): GrammarPart {
  const builder = new GrammarBuilder(schema, options);
  return { expression: builder.expression(schema), rules: builder.rules };
}

const basicTypes = ["object", "array", "string", "number", "integer"];
/** What is kept of a schema that asks for too much. */
const plainKeywords = ["type", "properties", "required", "items", "enum", "anyOf"];

class GrammarBuilder {
  readonly rules: string[] = [];
  readonly #root: Schema;
  readonly #options: GrammarPartOptions;
  readonly #ruleByRef = new Map<string, string>();

  constructor(root: Schema, options: GrammarPartOptions) {
    this.#root = root;
    this.#options = options;
  }

  /** What matches `schema`, as the right side of a rule: a rule name, a literal or a group. */
  expression(schema: unknown): string {
    if (!this.#options.isRelaxed) return this.#exact(schema);
    try {
      return this.#exact(schema);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      return this.#nearest(schema);
    }
  }

  #nearest(schema: unknown): string {
    if (typeof schema !== "object" || schema === null) return "value";
    const node = schema as Schema;
    const kept = plainKeywords.filter((keyword) => keyword in node);
    const isSmaller = kept.length < Object.keys(node).length;
    if (isSmaller && this.rules.length < rulesMax) {
      return this.expression(Object.fromEntries(kept.map((keyword) => [keyword, node[keyword]])));
    }
    const { type } = node;
    return typeof type === "string" && basicTypes.includes(type) ? type : "value";
  }

  #exact(schema: unknown): string {
    if (schema === true) return "value";
    if (schema === false) refuse("false", "no value can ever match it");
    const node = asSchema(schema);
    assertOnlyKnownKeywords(node);
    if (typeof node["$ref"] === "string") return this.#reference(node["$ref"]);
    if ("const" in node) return literal(node["const"]);
    if ("enum" in node) return this.#enumeration(node);
    if ("anyOf" in node) return this.#alternatives(node["anyOf"], "anyOf");
    if ("oneOf" in node) {
      const options = Array.isArray(node["oneOf"]) ? node["oneOf"] : [];
      if (!areDisjoint(options, this.#root)) {
        refuse("oneOf", "its options overlap; use anyOf");
      }
      return this.#alternatives(options, "oneOf");
    }
    if ("allOf" in node) {
      const parts = Array.isArray(node["allOf"]) ? node["allOf"] : [];
      if (parts.length !== 1) refuse("allOf", "only one schema inside it can be honoured");
      return this.expression(parts[0]);
    }
    const types = typesOf(node);
    if (types === null) return "value";
    return group(types.map((type) => this.#typed(node, type)));
  }

  #rule(expression: string): string {
    if (this.rules.length >= rulesMax) refuse("properties", `more than ${rulesMax} rules`);
    const name = `${this.#options.namePrefix}r${this.rules.length}`;
    this.rules.push(`${name} ::= ${expression}`);
    return name;
  }

  #reference(ref: string): string {
    const known = this.#ruleByRef.get(ref);
    if (known !== undefined) return known;
    const target = resolveLocalRef(ref, this.#root);
    const name = `${this.#options.namePrefix}ref${this.#ruleByRef.size}`;
    // Named before it is converted, so that a schema may refer to itself.
    this.#ruleByRef.set(ref, name);
    this.rules.push(`${name} ::= ${this.expression(target)}`);
    return name;
  }

  #enumeration(node: Schema): string {
    const types = typesOf({ type: node["type"] });
    const values = Array.isArray(node["enum"]) ? node["enum"] : [];
    const fitting = values.filter((value) => types === null || types.includes(typeOfValue(value)));
    if (fitting.length === 0) refuse("enum", "none of its values is allowed");
    return group(fitting.map(literal));
  }

  #alternatives(options: unknown, keyword: string): string {
    if (!Array.isArray(options) || options.length === 0) refuse(keyword, "it lists no schema");
    return group(options.map((option) => this.expression(option)));
  }

  #typed(node: Schema, type: string): string {
    switch (type) {
      case "object":
        return this.#object(node);
      case "array":
        return this.#array(node);
      case "string":
        return stringExpression(node);
      case "integer":
        return integerExpression(node);
      case "number":
        return numberExpression(node);
      case "boolean":
        return '("true" | "false")';
      case "null":
        return '"null"';
      default:
        return refuse("type", `${JSON.stringify(type)} is no JSON type`);
    }
  }

  #object(node: Schema): string {
    for (const keyword of ["minProperties", "maxProperties"]) {
      if (keyword in node) refuse(keyword, "a grammar cannot count properties");
    }
    const properties = asSchema(node["properties"] ?? {});
    const required = new Set(Array.isArray(node["required"]) ? node["required"].map(String) : []);
    const names = [...new Set([...Object.keys(properties), ...required])];
    if (names.length === 0) return this.#map(node["additionalProperties"]);
    const members = names.map((name) => ({
      isRequired: required.has(name),
      rule: this.#rule(`${literal(name)} ":" ws ${this.expression(properties[name] ?? true)}`),
    }));
    // From the last property backwards: what may follow once a member was written, and while none
    // was.
    let afterSome = '""';
    let afterNone = '""';
    for (const { isRequired, rule } of members.toReversed()) {
      const first = `${rule} ${afterSome}`;
      afterNone = this.#rule(isRequired ? first : `${first} | ${afterNone}`);
      afterSome = this.#rule(`${isRequired ? `"," ws ${rule}` : `("," ws ${rule})?`} ${afterSome}`);
    }
    return this.#rule(`"{" ws ${afterNone} ws "}"`);
  }

  #map(additional: unknown): string {
    if (additional === false) return '"{" ws "}"';
    const member = this.#rule(`string ":" ws ${this.expression(additional ?? true)}`);
    return this.#rule(`"{" ws (${member} ("," ws ${member})*)? ws "}"`);
  }

  #array(node: Schema): string {
    const least = countOf(node, "minItems", 0);
    const most = countOf(node, "maxItems", Number.POSITIVE_INFINITY);
    if (least > most) refuse("minItems", `${least} is more than maxItems ${most}`);
    if (least > repetitionsMax) refuse("minItems", `${least} is more than ${repetitionsMax}`);
    if (Array.isArray(node["prefixItems"])) {
      const prefix = node["prefixItems"].map((item) => this.expression(item));
      if (least > prefix.length) refuse("minItems", "prefixItems has fewer schemas");
      if (most < prefix.length) refuse("maxItems", "prefixItems has more schemas");
      return `"[" ws ${prefix.join(' "," ws ')} ws "]"`;
    }
    if (most === 0) return '"[" ws "]"';
    const item = this.#rule(this.expression(node["items"] ?? true));
    const upper = most === Number.POSITIVE_INFINITY ? "" : Math.min(most, repetitionsMax) - 1;
    const list = `${item} ("," ws ${item}){${Math.max(least - 1, 0)},${upper}}`;
    return this.#rule(`"[" ws ${least === 0 ? `(${list})?` : list} ws "]"`);
  }
}
