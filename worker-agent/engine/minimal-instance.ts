import type { JsonValue } from "../../shared/crypto/jcs.ts";

type Schema = Readonly<Record<string, unknown>>;

/** A schema may refer to itself without end; deeper than this it is given up with null. */
const depthMax = 32;

/**
 * A small value that validates against `schema`, for the keywords in common use: const, enum, type,
 * required, properties, items, prefixItems, minItems, minLength, minimum, exclusiveMinimum, anyOf,
 * oneOf, allOf and local $ref.
 */
export function minimalInstance(schema: Schema, root: Schema = schema, depth = 0): JsonValue {
  if (depth > depthMax) return null;
  const inside = (part: unknown): JsonValue => minimalInstance(asSchema(part), root, depth + 1);
  if ("const" in schema) return schema["const"] as JsonValue;
  if (Array.isArray(schema["enum"])) return (schema["enum"][0] ?? null) as JsonValue;
  if (typeof schema["$ref"] === "string") return inside(resolveRef(schema["$ref"], root));
  for (const keyword of ["anyOf", "oneOf"]) {
    const options = schema[keyword];
    if (Array.isArray(options)) return inside(options[0]);
  }
  if (Array.isArray(schema["allOf"])) {
    return inside(Object.assign({}, ...schema["allOf"].map((part) => derefOnce(part, root))));
  }
  return instanceOfType(schema, typeOf(schema), inside);
}

function instanceOfType(
  schema: Schema,
  type: string,
  inside: (part: unknown) => JsonValue,
): JsonValue {
  switch (type) {
    case "object":
      return objectInstance(schema, inside);
    case "array": {
      const prefix = Array.isArray(schema["prefixItems"]) ? schema["prefixItems"] : [];
      const count = Math.max(numberOf(schema["minItems"], 0), prefix.length);
      return Array.from({ length: count }, (_, i) => inside(prefix[i] ?? schema["items"] ?? {}));
    }
    case "string":
      return "word".padEnd(numberOf(schema["minLength"], 0), "s");
    case "integer":
    case "number":
      return smallestNumber(schema);
    case "boolean":
      return true;
    default:
      return null;
  }
}

function objectInstance(schema: Schema, inside: (part: unknown) => JsonValue): JsonValue {
  const properties = asSchema(schema["properties"]);
  const required = Array.isArray(schema["required"]) ? schema["required"] : [];
  const members: Record<string, JsonValue> = {};
  for (const name of required) members[String(name)] = inside(properties[String(name)] ?? {});
  return members;
}

function smallestNumber(schema: Schema): number {
  const above = numberOf(schema["exclusiveMinimum"], Number.NEGATIVE_INFINITY);
  const least = Math.max(numberOf(schema["minimum"], Number.NEGATIVE_INFINITY), above + 1);
  const most = numberOf(schema["maximum"], Number.POSITIVE_INFINITY);
  const start = least > 0 || most < 0 ? (Number.isFinite(least) ? least : most) : 0;
  const step = numberOf(schema["multipleOf"], 0);
  return step > 0 ? Math.ceil(start / step) * step : start;
}

function typeOf(schema: Schema): string {
  const type = schema["type"];
  if (typeof type === "string") return type;
  if (Array.isArray(type)) return String(type[0]);
  return "properties" in schema || "required" in schema ? "object" : "null";
}

/** A local reference: `#`, `#/$defs/name` or any deeper path (RFC 6901). */
function resolveRef(ref: string, root: Schema): unknown {
  let at: unknown = root;
  for (const raw of ref.replace(/^#\/?/, "").split("/")) {
    if (raw !== "") at = asSchema(at)[raw.replaceAll("~1", "/").replaceAll("~0", "~")];
  }
  return at;
}

function derefOnce(part: unknown, root: Schema): Schema {
  const schema = asSchema(part);
  return typeof schema["$ref"] === "string" ? asSchema(resolveRef(schema["$ref"], root)) : schema;
}

function asSchema(value: unknown): Schema {
  return typeof value === "object" && value !== null ? (value as Schema) : {};
}

function numberOf(value: unknown, otherwise: number): number {
  return typeof value === "number" ? value : otherwise;
}
