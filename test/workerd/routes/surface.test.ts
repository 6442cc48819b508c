import { expect, test } from "vitest";
import { app } from "../../../edge/app.ts";
import { configOf } from "../../../edge/env.ts";
import { descriptions } from "../../../edge/routes/descriptions.ts";
import { call, env, refusal } from "./edge-client.ts";

test("the edge is healthy and ready", async () => {
  expect((await call("GET /healthz", { key: null })).json).toEqual({ status: "ok" });
  expect((await call("GET /readyz", { key: null })).json).toEqual({ status: "ready" });
});

test.each([
  ["database", { LIBSQL: { fetch: () => Promise.reject(new Error("secret of the database")) } }],
  ["configuration", { OCTO_TICKET_SECRET: "short" }],
  ["configuration", { OCTO_KEY_PEPPER: undefined }],
  ["directory", { DIRECTORY: { idFromName: () => "", get: () => ({}) } }],
])("an edge whose %s fails is alive but not ready, and says no more", async (part, broken) => {
  const bindings = { ...env, ...broken };
  const waitUntil = () => {};
  const execution = { waitUntil, passThroughOnException: waitUntil } as unknown as ExecutionContext;
  expect((await app.request("/healthz", {}, bindings, execution)).status).toBe(200);
  const response = await app.request("/readyz", {}, bindings, execution);
  expect(response.status).toBe(503);
  const { error } = await response.json<{ error: { message: string; code: string } }>();
  expect(error.code).toBe("unavailable");
  expect(error.message).toBe(`Not ready: failed parts are ${part}`);
});

test.each([[undefined], [""], ["too short"]])(
  "an edge whose pepper is %j does not start, and says what it wants",
  (pepper) => {
    const { OCTO_KEY_PEPPER: _, ...rest } = env;
    const bindings = pepper === undefined ? rest : { ...rest, OCTO_KEY_PEPPER: pepper };
    const accepted = "at least 32 random characters, made by `npm run secrets`";
    expect(() => configOf(bindings)).toThrow(`Cannot start: OCTO_KEY_PEPPER must be ${accepted}`);
  },
);

test("every mounted route is in the document, and nothing else is", async () => {
  const { json } = await call("GET /openapi.json", { key: null });
  const documented = Object.entries(json["paths"] as Record<string, object>).flatMap(
    ([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
  );
  // What is mounted on every path is no route of its own: middleware and preflights.
  const mounted = app.routes
    .filter(({ path }) => !path.endsWith("*"))
    .map(({ method, path }) => `${method} ${path.replace(/:(\w+)(\{[^}]*\})?/g, "{$1}")}`);
  expect(documented.toSorted()).toEqual([...new Set(mounted)].toSorted());
});

test("the document is whole: its references lead somewhere, its operations have names", async () => {
  const { text, json } = await call("GET /openapi.json", { key: null });
  const { schemas } = json["components"] as { schemas: Record<string, unknown> };
  const references = [...text.matchAll(/"\$ref":"([^"]+)"/g)].map(([, reference]) => reference);
  const known = Object.keys(schemas).map((name) => `#/components/schemas/${name}`);
  expect([...new Set(references)].toSorted()).toEqual(known.toSorted());
  const names = descriptions.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  expect(text).not.toContain('"$schema"');
});

test("an unknown path is not found, and a known one names the methods it takes", async () => {
  const missing = await refusal("GET /v2/nothing");
  expect(missing).toMatchObject({ status: 404, code: "not_found" });
  const wrong: [string, string][] = [
    ["PUT /api/v1/accounts", "POST, GET, HEAD, OPTIONS"],
    ["GET /v1/chat/completions", "POST, OPTIONS"],
    ["POST /v1/models/org/name:tag", "GET, HEAD, OPTIONS"],
    ["POST /healthz", "GET, HEAD, OPTIONS"],
    ["POST /openapi.json", "GET, HEAD, OPTIONS"],
  ];
  for (const [route, allow] of wrong) {
    const answer = await call(route);
    expect(answer.status).toBe(405);
    expect(answer.headers.get("allow")).toBe(allow);
    expect(answer.json).toMatchObject({ error: { code: "method_not_allowed" } });
  }
});

test("HEAD answers as GET does, without a body; OPTIONS needs no key", async () => {
  const head = await call("HEAD /v1/models");
  expect([head.status, head.text]).toEqual([200, ""]);
  expect((await call("HEAD /v1/models", { key: null })).status).toBe(401);
  const options = await call("OPTIONS /api/v1/accounts", {
    key: null,
    headers: { origin: "https://page.test", "access-control-request-method": "POST" },
  });
  expect(options.status).toBe(204);
  expect(options.headers.get("access-control-allow-methods")).toContain("POST");
});

test("a model name is decoded once, and a stray percent sign is no failure", async () => {
  for (const name of ["%25", "%E0%A4%A", "org%2Fname", "sha256:0"]) {
    const error = await refusal(`GET /v1/models/${name}`);
    expect(error).toMatchObject({ status: 404, code: "model_not_found" });
  }
});

test("wrong JSON is refused with its place, and a body over 4 MiB by its size", async () => {
  const broken = await refusal("POST /api/v1/accounts", { text: '{\n  "name": nope }' });
  expect(broken).toMatchObject({ status: 400, code: "invalid_json" });
  expect(broken.message).toContain("line 2, column 12");
  const large = await refusal("POST /api/v1/accounts", { text: " ".repeat(4 * 1024 * 1024 + 1) });
  expect(large).toMatchObject({ status: 413, code: "body_too_large" });
});

test("a page on any site can read answers and errors", async () => {
  for (const key of [undefined, null]) {
    const { headers } = await call("GET /v1/models", key === null ? { key } : {});
    expect(headers.get("access-control-allow-origin")).toBe("*");
    expect(headers.get("x-request-id")).toMatch(/^req_/);
  }
});
