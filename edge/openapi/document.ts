import { z } from "zod";
import { assert } from "../../shared/assert.ts";
import { errorRules, type ErrorCode } from "../../shared/errors.ts";
import type { RouteDescription } from "./description.ts";
import { errorSchema } from "./openai-answers.ts";

type JsonObject = Record<string, unknown>;

const about = `One OpenAI-compatible endpoint in front of everybody's GPUs.

Point any OpenAI client at \`/v1\` with an API key of this edge. What it costs is in micros (1
credit is 1,000,000 micros); every answer has a task id (\`x-octo-task\`), under which its signed
receipts can be read.

Every error has OpenAI's shape and a request id (\`x-request-id\`). \`x-should-retry\` says whether
the same request may succeed later, and \`retry-after\` after how many seconds. Lists are paged by
\`cursor\`.`;

/** What every route of an access can answer. */
function errorsOf(access: RouteDescription["access"]): readonly ErrorCode[] {
  if (access === "anyone") return [];
  const scope = access === "any key" ? [] : (["insufficient_scope"] as const);
  const key = ["invalid_api_key", ...scope, "rate_limit_exceeded"] as const;
  return ["invalid_request", ...key, "internal", "unavailable"];
}
const bodyErrors: readonly ErrorCode[] = ["invalid_json", "body_too_large"];

/** The OpenAPI 3.1 document of the described routes. */
export function openApiDocument(descriptions: readonly RouteDescription[]): JsonObject {
  const paths: Record<string, JsonObject> = {};
  for (const description of descriptions) {
    const path = description.path.replace(/:(\w+)(\{[^}]*\})?/g, "{$1}");
    paths[path] = { ...paths[path], [description.method]: operation(description) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "CipherOcto",
      version: "1",
      description: about,
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    security: [{ apiKey: [] }, { session: [] }],
    tags: [
      { name: "consumers", description: "For every API key" },
      { name: "operators", description: "For operators' API keys" },
      { name: "people", description: "For whoever is signed in" },
      { name: "service", description: "Without a key" },
    ],
    paths,
    components: {
      schemas: namedSchemas(),
      securitySchemes: {
        apiKey: {
          type: "http",
          scheme: "bearer",
          bearerFormat: "octo_sk_<env>_<id>_<secret>_<checksum>",
          description: "An API key of this edge. Operators' routes need an operator's key.",
        },
        session: {
          type: "http",
          scheme: "bearer",
          bearerFormat: "JWT",
          description: "A person's session: what it may do is their role in its account.",
        },
      },
    },
  };
}

function tagOf(access: RouteDescription["access"]): string {
  if (access === "anyone") return "service";
  if (access === "any person") return "people";
  return access === "network:operate" ? "operators" : "consumers";
}

function operation(description: RouteDescription): JsonObject {
  const { access, body } = description;
  const parameters = [
    ...parametersOf("path", description.params),
    ...parametersOf("query", description.query),
    ...Object.entries(description.headers ?? {}).map(([name, text]) => ({
      name,
      in: "header",
      required: false,
      description: text,
      schema: { type: "string" },
    })),
  ];
  return {
    operationId: description.name,
    tags: [tagOf(access)],
    summary: description.summary,
    ...(description.about === undefined ? {} : { description: description.about }),
    ...(access === "anyone" ? { security: [] } : {}),
    ...(access === "any person" ? { security: [{ session: [] }] } : {}),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, content: bodyContent(description, body) } }),
    responses: { [description.status ?? 200]: success(description), ...failures(description) },
  };
}

/**
 * A schema's properties as parameters. What a caller must send is in its input, what is meant in
 * its output.
 */
function parametersOf(place: "path" | "query", schema: z.ZodType | undefined): JsonObject[] {
  if (schema === undefined) return [];
  const { required = [] } = toJsonSchema(schema, "input");
  const { properties = {} } = toJsonSchema(schema, "output");
  return Object.entries(properties).map(([name, property]) => {
    const { description, ...rest } = property as JsonObject;
    return {
      name,
      in: place,
      required: required.includes(name),
      ...(description === undefined ? {} : { description }),
      schema: rest,
    };
  });
}

function success(description: RouteDescription): JsonObject {
  const { answer, event } = description;
  const named = {
    ...(description.access === "anyone" ? {} : { "x-request-id": "The id to ask us about" }),
    ...description.answerHeaders,
  };
  const headers = Object.fromEntries(
    Object.entries(named).map(([name, text]) => [
      name,
      { description: text, schema: { type: "string" } },
    ]),
  );
  const texts = Object.fromEntries(
    (description.textAnswers ?? []).map((type) => [type, { schema: { type: "string" } }]),
  );
  const events = event === undefined ? {} : { "text/event-stream": { schema: reference(event) } };
  const content = { ...(answer === null ? {} : json(answer)), ...events, ...texts };
  return {
    description: description.summary,
    ...(Object.keys(headers).length === 0 ? {} : { headers }),
    ...(Object.keys(content).length === 0 ? {} : { content }),
  };
}

function failures(description: RouteDescription): JsonObject {
  const codes = new Set([
    ...errorsOf(description.access),
    ...(description.body === undefined ? [] : bodyErrors),
    ...(description.errors ?? []),
  ]);
  const codesByStatus = Map.groupBy(codes, (code) => errorRules[code].status);
  return Object.fromEntries(
    [...codesByStatus].map(([status, list]) => [
      status,
      {
        description: list.map((code) => `\`${code}\``).join(", "),
        ...(list.some((code) => errorRules[code].retry === "later") ? { headers: retryAfter } : {}),
        content: { "application/json": { schema: reference(errorSchema) } },
      },
    ]),
  );
}

const retryAfter = {
  "retry-after": { description: "Seconds to wait before trying again", schema: { type: "string" } },
};

function bodyContent({ bodyForm = "json" }: RouteDescription, body: z.ZodType): JsonObject {
  if (bodyForm === "json") return json(body);
  return { "multipart/form-data": { schema: reference(body) } };
}

function json(schema: z.ZodType): JsonObject {
  const examples = schema.meta()?.examples as unknown[] | undefined;
  return {
    "application/json": {
      schema: reference(schema),
      ...(examples?.[0] === undefined ? {} : { example: examples[0] }),
    },
  };
}

function reference(schema: z.ZodType): JsonObject {
  const id = schema.meta()?.id;
  assert(id !== undefined, "every body and answer has a schema with a name");
  return { $ref: `#/components/schemas/${id}` };
}

/** Every schema that was given a name, each in the form in which it is sent. */
function namedSchemas(): JsonObject {
  const { schemas } = z.toJSONSchema(z.globalRegistry, {
    uri: (id) => `#/components/schemas/${id}`,
    io: "input",
    override: ({ jsonSchema }) => readable(jsonSchema),
  });
  return Object.fromEntries(
    Object.entries(schemas).map(([id, schema]) => [id, without(schema, ["$schema", "$id", "id"])]),
  );
}

function without(object: JsonObject, names: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([name]) => !names.includes(name)));
}

/**
 * Leaves out what says nothing to a reader: the bounds of every integer, and a format's pattern
 * beside its name.
 */
function readable(schema: JsonObject): void {
  if (schema["minimum"] === Number.MIN_SAFE_INTEGER) delete schema["minimum"];
  if (schema["maximum"] === Number.MAX_SAFE_INTEGER) delete schema["maximum"];
  if (schema["format"] === "date-time") delete schema["pattern"];
}

function toJsonSchema(
  schema: z.ZodType,
  io: "input" | "output",
): { readonly required?: readonly string[]; readonly properties?: JsonObject } {
  return z.toJSONSchema(schema, {
    io,
    override: ({ jsonSchema }) => readable(jsonSchema),
  }) as ReturnType<typeof toJsonSchema>;
}
