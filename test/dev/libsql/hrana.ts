import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EndpointOptions } from "../../../dev/libsql/endpoint.ts";
import { createEndpoint } from "../../../dev/libsql/endpoint.ts";
import type { WireValue } from "../../../dev/libsql/values.ts";

/** What the tests read of an answer; what is not there fails the comparison. */
export interface Answer {
  readonly status: number;
  readonly baton: string | null;
  readonly results: readonly {
    readonly type: string;
    readonly error?: { readonly code: string };
    readonly response?: {
      readonly is_autocommit?: boolean;
      readonly result?: {
        readonly rows?: readonly (readonly WireValue[])[];
        readonly step_results?: readonly unknown[];
        readonly step_errors?: readonly ({ readonly code: string } | null)[];
      };
    };
  }[];
  readonly code?: string;
}

export interface HranaWorld extends AsyncDisposable {
  readonly path: string;
  readonly fetch: (request: Request) => Promise<Response>;
  /** Sends requests down one pipeline. */
  readonly pipe: (requests: readonly object[], baton?: string | null) => Promise<Answer>;
  /** The rows of one statement, in a pipeline of its own. */
  readonly rows: (sql: string, args?: readonly WireValue[]) => Promise<WireValue[][]>;
}

/** An endpoint on a file of its own. */
export async function makeHranaWorld(options: Partial<EndpointOptions> = {}): Promise<HranaWorld> {
  const stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "octo-hrana-"));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, "hrana.db");
  const endpoint = stack.use(createEndpoint({ path, ...options }));
  const pipe = async (requests: readonly object[], baton: string | null = null) =>
    answerOf(await endpoint.fetch(post("/v3/pipeline", { baton, requests })));
  const rows = async (sql: string, args: readonly WireValue[] = []) => {
    const answer = await pipe([execute(sql, args), { type: "close" }]);
    return structuredClone(answer.results[0]?.response?.result?.rows ?? []) as WireValue[][];
  };
  return {
    path,
    fetch: endpoint.fetch,
    pipe,
    rows,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

export async function answerOf(response: Response): Promise<Answer> {
  return { baton: null, results: [], ...(await response.json()), status: response.status };
}

export function post(path: string, body: unknown, headers: Record<string, string> = {}): Request {
  return new Request(`http://libsql.invalid${path}`, {
    method: "POST",
    headers,
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

export function execute(sql: string, args: readonly WireValue[] = []): object {
  return { type: "execute", stmt: { sql, args } };
}

export const close = { type: "close" };
export const integer = (value: bigint | number): WireValue => ({
  type: "integer",
  value: value.toString(),
});
export const text = (value: string): WireValue => ({ type: "text", value });
