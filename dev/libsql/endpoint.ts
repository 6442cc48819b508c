import type { z } from "zod";
import { equalInConstantTime, utf8 } from "../../shared/crypto/bytes.ts";
import type { BatchResult } from "./batch.ts";
import { readBody } from "./read-body.ts";
import { StreamRefused, Streams } from "./streams.ts";
import type { StatementResult } from "./wire.ts";
import { cursorSchema, pipelineSchema } from "./wire.ts";

export interface EndpointOptions {
  /** The database file; created where there is none. */
  readonly path: string;
  /** Asked of every request as `Authorization: Bearer …` when given. */
  readonly authToken?: string | undefined;
  readonly bodyBytesMax?: number;
  readonly batonMs?: number;
  readonly busyTimeoutMs?: number;
  readonly nowMs?: () => number;
  readonly sleep?: (ms: number) => Promise<void>;
}

/** Hrana over HTTP, versions 2 and 3 in JSON, for one database file. */
export interface Endpoint extends AsyncDisposable {
  readonly fetch: (request: Request) => Promise<Response>;
}

/** A batch of 10,000 settlements is about 10 MiB. */
const bodyBytesMaxDefault = 64 * 1024 * 1024;
/** libsql-server's expiry of a stream nobody uses. */
const batonMsDefault = 10_000;
/** libsql-server's own busy timeout. */
const busyTimeoutMsDefault = 5_000;

export function createEndpoint(options: EndpointOptions): Endpoint {
  const streams = new Streams({
    path: options.path,
    batonMs: options.batonMs ?? batonMsDefault,
    busyTimeoutMs: options.busyTimeoutMs ?? busyTimeoutMsDefault,
    nowMs: options.nowMs ?? Date.now,
    sleep: options.sleep ?? ((ms) => new Promise((done) => setTimeout(done, ms))),
  });
  const bodyBytesMax = options.bodyBytesMax ?? bodyBytesMaxDefault;
  return {
    async fetch(request) {
      try {
        if (!isAuthorized(request, options.authToken)) {
          return refusal(401, "UNAUTHORIZED", "the bearer token is missing or wrong");
        }
        return await route(request, streams, bodyBytesMax);
      } catch (error) {
        if (error instanceof StreamRefused) return refusal(error.status, error.code, error.message);
        throw error;
      }
    },
    [Symbol.asyncDispose]: () => streams[Symbol.asyncDispose](),
  };
}

async function route(request: Request, streams: Streams, bytesMax: number): Promise<Response> {
  const { pathname } = new URL(request.url);
  const key = `${request.method} ${pathname}`;
  switch (key) {
    case "GET /health":
    case "GET /v2":
    case "GET /v3":
      return new Response(null, { status: 200 });
    case "POST /v2/pipeline":
    case "POST /v3/pipeline":
      return runPipeline(await readBody(request, pipelineSchema, bytesMax), streams);
    case "POST /v3/cursor":
      return runCursor(await readBody(request, cursorSchema, bytesMax), streams);
    default:
      // A client that prefers Protobuf asks for /v3-protobuf first and falls back to JSON on this
      // answer.
      return refusal(404, "NOT_FOUND", "only Hrana 2 and 3 over HTTP in JSON are spoken here");
  }
}

async function runPipeline(
  { baton, requests }: z.infer<typeof pipelineSchema>,
  streams: Streams,
): Promise<Response> {
  const answerAll = async (stream: Parameters<Parameters<Streams["runShared"]>[0]>[0]) => {
    const results: object[] = [];
    for (const request of requests) results.push(await stream.answer(request));
    return results;
  };
  const isWhole = requests.some((request) => request.type === "close");
  if (isWhole && (baton ?? null) === null) {
    return Response.json({
      baton: null,
      base_url: null,
      results: await streams.runShared(answerAll),
    });
  }
  const { value: results, baton: next } = await streams.runOwn(baton ?? null, answerAll);
  return Response.json({ baton: next, base_url: null, results });
}

/** A cursor's answer is lines of JSON: the stream's baton, then the entries of its batch. */
async function runCursor(
  { baton, batch }: z.infer<typeof cursorSchema>,
  streams: Streams,
): Promise<Response> {
  const { value, baton: next } = await streams.runOwn(baton ?? null, (stream) =>
    stream.batch(batch),
  );
  const lines = [{ baton: next, base_url: null }, ...cursorEntries(value)];
  return new Response(lines.map((line) => `${JSON.stringify(line)}\n`).join(""), {
    headers: { "content-type": "application/x-ndjson" },
  });
}

function* cursorEntries({ step_results, step_errors }: BatchResult): Generator<object> {
  for (const [step, result] of step_results.entries()) {
    const error = step_errors[step] ?? null;
    if (error !== null) yield { type: "step_error", step, error };
    if (result !== null) yield* stepEntries(step, result);
  }
}

function* stepEntries(step: number, result: StatementResult): Generator<object> {
  const { cols, rows, affected_row_count, last_insert_rowid } = result;
  yield { type: "step_begin", step, cols };
  for (const row of rows) yield { type: "row", row };
  yield { type: "step_end", affected_row_count, last_insert_rowid };
}

function isAuthorized(request: Request, authToken: string | undefined): boolean {
  if (authToken === undefined) return true;
  const given = request.headers.get("authorization") ?? "";
  return equalInConstantTime(utf8(given), utf8(`Bearer ${authToken}`));
}

/** The client reads a code from JSON only. */
function refusal(status: number, code: string, message: string): Response {
  return Response.json({ message, code }, { status });
}
