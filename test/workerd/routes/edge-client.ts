import { env as testEnv, exports } from "cloudflare:workers";
import { databaseOf } from "../../../edge/database.ts";
import type { Database } from "../../../edge/db/database.ts";
import type { Env } from "../../../edge/env.ts";
import { errorSchema } from "../../../edge/openapi/openai-answers.ts";

export const env = testEnv as unknown as Env;
export const operatorKey = env.OCTO_OPERATOR_KEY ?? "";

const edge = (exports as unknown as { default: { fetch(request: Request): Promise<Response> } })
  .default;

export interface Call {
  readonly key?: string | null;
  readonly body?: unknown;
  /** Sent as it is. */
  readonly text?: string;
  readonly headers?: Record<string, string>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: Record<string, unknown>;
}

/** Calls the real Worker; an operator unless told otherwise. `route` is `GET /path`. */
export async function call(route: string, options: Call = {}): Promise<Answer> {
  const [method = "", path = ""] = route.split(" ");
  const key = options.key === undefined ? operatorKey : options.key;
  const body = options.text ?? (options.body === undefined ? null : JSON.stringify(options.body));
  const response = await edge.fetch(
    new Request(`https://edge.test${path}`, {
      method,
      body,
      headers: { ...(key === null ? {} : { authorization: `Bearer ${key}` }), ...options.headers },
    }),
  );
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.includes("json") === true && text !== "";
  const json = (isJson ? JSON.parse(text) : {}) as Record<string, unknown>;
  return { status: response.status, headers: response.headers, text, json };
}

/** Calls a route that is to refuse; gives the error, whose shape is checked on the way. */
export async function refusal(route: string, options: Call = {}) {
  const { status, json } = await call(route, options);
  return { status, ...errorSchema.parse(json).error };
}

/** A new account with a key of its own. */
export async function newConsumer(role: "consumer" | "operator" = "consumer") {
  const account = await call("POST /api/v1/accounts", { body: { name: "Alice" } });
  const accountId = String(account.json["id"]);
  const scopes = role === "operator" ? ["operator"] : ["inference", "management", "read-only"];
  const key = await call("POST /api/v1/keys", {
    body: { account_id: accountId, name: "laptop", scopes },
  });
  return { accountId, keyId: String(key.json["id"]), key: String(key.json["key"]) };
}

export function openDatabase(): Database {
  return databaseOf(env);
}
