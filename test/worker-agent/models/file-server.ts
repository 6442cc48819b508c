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
  content: Buffer;
  /** Null sends none. */
  etag: string | null;
  knowsRanges: boolean;
  /** Answers with these statuses first, one a request. */
  failures: number[];
  /** Closes the connection after this many bytes of each of the next answers. */
  cuts: number[];
  /** Where to send everyone instead; the answer carries the headers of a hub. */
  redirect: string | null;
}

export async function startFileServer(content: Buffer): Promise<FileServer> {
  const server = createServer((request, response) => serve(files, request, response));
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const files: FileServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: [],
    content,
    etag: '"first"',
    knowsRanges: true,
    failures: [],
    cuts: [],
    redirect: null,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
  return files;
}

function serve(files: FileServer, request: IncomingMessage, response: ServerResponse): void {
  const { range, authorization, "if-range": ifRange } = request.headers;
  files.asked.push({ method: request.method, path: request.url, range, authorization });
  const failure = files.failures.shift();
  if (failure !== undefined) {
    response.writeHead(failure).end("no");
    return;
  }
  if (files.redirect !== null) {
    const linked = `"${createHash("sha256").update(files.content).digest("hex")}"`;
    const headers = { location: files.redirect, "x-linked-etag": linked };
    response.writeHead(302, headers).end();
    return;
  }
  const start = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
  const isPart = files.knowsRanges && start > 0 && ifRange === files.etag;
  const body = isPart ? files.content.subarray(start) : files.content;
  const end = files.content.length - 1;
  if (files.etag !== null) response.setHeader("etag", files.etag);
  if (isPart) response.setHeader("content-range", `bytes ${start}-${end}/${files.content.length}`);
  response.writeHead(isPart ? 206 : 200, { "content-length": body.length });
  const cut = files.cuts.shift();
  if (cut === undefined) response.end(body);
  else response.write(body.subarray(0, cut), () => response.destroy());
}
