import { EngineError } from "../engine.ts";

export type Schema = Readonly<Record<string, unknown>>;

/** Keywords that say nothing about what is valid (JSON Schema 2020-12, sections 8 and 9). */
const annotations = new Set([
  "$schema",
  "$id",
  "$anchor",
  "$comment",
  "$defs",
  "definitions",
  "title",
  "description",
  "default",
  "examples",
  "deprecated",
  "readOnly",
  "writeOnly",
]);

const keywordsByType: Readonly<Record<string, readonly string[]>> = {
  object: ["properties", "required", "additionalProperties", "minProperties", "maxProperties"],
  array: ["items", "prefixItems", "minItems", "maxItems"],
  string: ["minLength", "maxLength", "format"],
  integer: ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"],
};

/** These decide alone what is valid: a keyword beside one of them could not be honoured too. */
const deciding = ["$ref", "const", "enum", "anyOf", "oneOf", "allOf"];
const known = new Set([...deciding, "type", ...Object.values(keywordsByType).flat()]);
const allTypes = ["object", "array", "string", "number", "integer", "boolean", "null"];

/** Ends the conversion: the caller asked for what the grammar cannot promise. */
export function refuse(keyword: string, reason: string): never {
  throw new EngineError(
    "invalid_request",
    `Cannot keep the JSON schema's ${JSON.stringify(keyword)}: ${reason}`,
  );
}

export function assertOnlyKnownKeywords(node: Schema): void {
  const decider = deciding.find((keyword) => keyword in node);
  for (const keyword of Object.keys(node)) {
    if (annotations.has(keyword) || keyword.startsWith("x-")) continue;
    if (keyword === "uniqueItems" && node[keyword] === false) continue;
    if (!known.has(keyword)) refuse(keyword, "this keyword is not supported");
    if (decider === undefined || keyword === decider || keyword === "type") continue;
    refuse(keyword, `it stands beside ${JSON.stringify(decider)}, and only one can be honoured`);
  }
}

/**
 * The types a schema allows; null where it allows any. A missing `type` follows from the other
 * keywords.
 */
export function typesOf(node: Schema): readonly string[] | null {
  const { type } = node;
  if (typeof type === "string") return [type];
  if (Array.isArray(type)) return type.length === 0 ? refuse("type", "it is empty") : type;
  for (const [implied, keywords] of Object.entries(keywordsByType)) {
    if (keywords.some((keyword) => keyword in node)) return [implied];
  }
  return null;
}

export function typeOfValue(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value;
}

export function asSchema(value: unknown): Schema {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    refuse("type", `a schema is an object, not ${JSON.stringify(value) ?? "missing"}`);
  }
  return value as Schema;
}

/** The target of a local reference (`#`, `#/$defs/name`, any JSON pointer of RFC 6901). */
export function resolveLocalRef(ref: string, root: Schema): Schema {
  if (ref !== "#" && !ref.startsWith("#/")) refuse("$ref", `${ref} is not inside this schema`);
  let at: unknown = root;
  for (const raw of ref.split("/").slice(1)) {
    const name = decodeURIComponent(raw).replaceAll("~1", "/").replaceAll("~0", "~");
    at = typeof at === "object" && at !== null ? (at as Schema)[name] : undefined;
    if (at === undefined) refuse("$ref", `${ref} leads nowhere`);
  }
  return asSchema(at);
}

/**
 * Whether no value can match two of `options`: by type, by value, or by a required property that
 * tells them apart.
 */
export function areDisjoint(options: readonly unknown[], root: Schema): boolean {
  const schemas = options.map((option) => withoutRef(asSchema(option), root));
  return schemas.every((one, i) => schemas.slice(i + 1).every((other) => differ(one, other, root)));
}

function differ(one: Schema, other: Schema, root: Schema): boolean {
  const valuesOfOne = valuesOf(one);
  const valuesOfOther = valuesOf(other);
  if (valuesOfOne !== null && valuesOfOther !== null) {
    return valuesOfOne.every((value) => !valuesOfOther.includes(value));
  }
  const types = possibleTypes(other);
  if (possibleTypes(one).every((type) => !types.includes(type))) return true;
  if (typesOf(one)?.join() !== "object" || typesOf(other)?.join() !== "object") return false;
  const names = requiredNames(one).filter((name) => requiredNames(other).includes(name));
  return names.some((name) => {
    const a = withoutRef(asSchema(asSchema(one["properties"] ?? {})[name] ?? {}), root);
    const b = withoutRef(asSchema(asSchema(other["properties"] ?? {})[name] ?? {}), root);
    const [left, right] = [valuesOf(a), valuesOf(b)];
    return left !== null && right !== null && left.every((value) => !right.includes(value));
  });
}

function possibleTypes(schema: Schema): readonly string[] {
  const values = "const" in schema ? [schema["const"]] : schema["enum"];
  if (Array.isArray(values)) return values.map(typeOfValue);
  if (deciding.some((keyword) => keyword in schema)) return allTypes;
  const types = typesOf(schema) ?? allTypes;
  // Every integer is a number too.
  return types.includes("number") ? [...types, "integer"] : types;
}

function valuesOf(schema: Schema): string[] | null {
  if ("const" in schema) return [JSON.stringify(schema["const"])];
  return Array.isArray(schema["enum"]) ? schema["enum"].map((one) => JSON.stringify(one)) : null;
}

function requiredNames(schema: Schema): readonly string[] {
  return Array.isArray(schema["required"]) ? schema["required"].map(String) : [];
}

function withoutRef(schema: Schema, root: Schema): Schema {
  return typeof schema["$ref"] === "string" ? resolveLocalRef(schema["$ref"], root) : schema;
}
