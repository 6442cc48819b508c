import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface Asked {
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

/** A server of one file, whose faults a test turns on. */
export interface FileServer extends AsyncDisposable {
  readonly url: string;
  readonly asked: Asked[];
  /** Answers wait until so many of them are asked for at once. */
  together: number;
  content: Buffer;
  /** What is served under paths that end so, in place of `content`. */
  readonly contentByPath: Map<string, Buffer>;
  /** Null sends none. */
  etag: string | null;
  knowsRanges: boolean;
  /** Answers with these statuses first, one a request. */
  failures: number[];
  /** Sent with them. */
  retryAfter: string | null;
  /** Closes the connection after this many bytes of each of the next answers of some length. */
  cuts: number[];
  /** Says nothing more after this many bytes of each of the next such answers. */
  stalls: number[];
  /** Sends parts without their length, each with this behind it, and never ends them. */
  surplus: Buffer | null;
  /** Called before each answer with content, to change the file under way. */
  beforeAnswer: () => void;
  /** Added to the size that is told. */
  lie: number;
  /** Where to send everyone instead; the answer carries the headers of a hub. */
  redirect: string | null;
}

export async function startFileServer(content: Buffer): Promise<FileServer> {
  const server = createServer((request, response) => serve(files, request, response));
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const files = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: [],
    held: [],
    together: 1,
    content,
    contentByPath: new Map(),
    etag: '"first"',
    knowsRanges: true,
    failures: [],
    retryAfter: null,
    cuts: [],
    stalls: [],
    surplus: null,
    beforeAnswer: () => undefined,
    lie: 0,
    redirect: null,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  } satisfies Holding;
  return files;
}

interface Holding extends FileServer {
  held: (() => void)[];
}

function serve(files: Holding, request: IncomingMessage, response: ServerResponse): void {
  const { range, authorization } = request.headers;
  files.asked.push({ method: request.method, path: request.url, range, authorization });
  const failure = files.failures.shift();
  if (failure !== undefined) {
    const headers = files.retryAfter === null ? {} : { "retry-after": files.retryAfter };
    response.writeHead(failure, headers).end("no");
    return;
  }
  const path = new URL(request.url ?? "/", files.url).pathname;
  const own = [...files.contentByPath].find(([end]) => path.endsWith(end))?.[1];
  if (files.redirect !== null && own === undefined) {
    const linked = `"${createHash("sha256").update(files.content).digest("hex")}"`;
    const headers = { location: files.redirect, "x-linked-etag": linked };
    response.writeHead(302, headers).end();
    return;
  }
  const send = () => {
    files.beforeAnswer();
    sendContent(files, own ?? files.content, request, response);
  };
  if (range === "bytes=0-0") return send();
  files.held.push(send);
  if (files.held.length < files.together) return;
  files.together = 1;
  for (const answer of files.held.splice(0)) answer();
}

function sendContent(
  files: Holding,
  content: Buffer,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { range, "if-range": ifRange } = request.headers;
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(range ?? "") ?? [];
  const isCurrent = ifRange === undefined || ifRange === files.etag;
  const isPart = files.knowsRanges && first !== undefined && isCurrent;
  const start = isPart ? Number(first) : 0;
  const end = isPart && last !== "" ? Math.min(Number(last) + 1, content.length) : content.length;
  if (files.etag !== null) response.setHeader("etag", files.etag);
  if (start >= content.length && isPart) {
    response.writeHead(416, { "content-range": `bytes */${content.length}` }).end();
    return;
  }
  const body = content.subarray(start, end);
  const total = content.length + files.lie;
  if (isPart) response.setHeader("content-range", `bytes ${start}-${end - 1}/${total}`);
  if (files.surplus !== null && body.length > 1) {
    response.writeHead(206).write(Buffer.concat([body, files.surplus]));
    return;
  }
  const length = isPart ? body.length : body.length + files.lie;
  response.writeHead(isPart ? 206 : 200, { "content-length": length });
  // The first byte alone is how a client asks what there is.
  const cut = body.length > 1 ? files.cuts.shift() : undefined;
  const stall = body.length > 1 ? files.stalls.shift() : undefined;
  if (stall !== undefined) response.write(body.subarray(0, stall));
  else if (cut !== undefined) response.write(body.subarray(0, cut), () => response.destroy());
  else if (files.lie > 0 && !isPart) response.write(body, () => response.destroy());
  else response.end(body);
}
