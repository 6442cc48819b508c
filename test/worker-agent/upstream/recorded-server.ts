import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Socket } from "node:net";
import { setImmediate } from "node:timers/promises";

/** What a server was asked for. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly text: string;
  readonly body: Record<string, unknown>;
}

/** One answer: a document, or the bytes of a stream in the pieces they are sent in. */
export type Reply =
  | {
      readonly json: unknown;
      readonly status?: number;
      readonly headers?: Readonly<Record<string, string>>;
    }
  | { readonly text: string; readonly status?: number; readonly type?: string }
  | { readonly pieces: readonly Uint8Array[]; readonly after?: "end" | "cut" | "hang" }
  | { readonly redirect: string }
  | { readonly hang: true };

export type Route = Reply | ((asked: Asked) => Reply);

/** A server of recorded answers by path; what it has none for is a 404, as everywhere. */
export class RecordedServer implements AsyncDisposable {
  readonly asked: Asked[] = [];
  readonly url: string;
  /** Connections that the other side has closed before the answer ended. */
  abandoned = 0;
  routes: Record<string, Route>;
  readonly #server: ReturnType<typeof createServer>;
  readonly #sockets: Set<Socket>;

  private constructor(
    server: ReturnType<typeof createServer>,
    sockets: Set<Socket>,
    routes: Record<string, Route>,
  ) {
    this.#server = server;
    this.#sockets = sockets;
    this.routes = routes;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async start(routes: Record<string, Route>): Promise<RecordedServer> {
    const sockets = new Set<Socket>();
    let recorded: RecordedServer | null = null;
    const server = createServer((request, response) => {
      void recorded?.answer(request, response);
    });
    server.on("connection", (socket) => {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
    });
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    recorded = new RecordedServer(server, sockets, routes);
    return recorded;
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  get openConnections(): number {
    return this.#sockets.size;
  }

  /** The bodies of what was asked of a path. */
  bodies(path: string): Record<string, unknown>[] {
    return this.asked.filter((asked) => asked.path === path).map(({ body }) => body);
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const content: Buffer[] = [];
    for await (const piece of request) content.push(piece as Buffer);
    const text = Buffer.concat(content).toString("latin1");
    const path = request.url ?? "";
    const isJson = request.headers["content-type"] === "application/json";
    const body = isJson ? (JSON.parse(Buffer.concat(content).toString()) as Asked["body"]) : {};
    const { method = "", headers } = request;
    const asked = { method, path, headers, text, body };
    this.asked.push(asked);
    response.once("close", () => {
      if (!response.writableFinished) this.abandoned += 1;
    });
    const route = this.routes[path];
    const reply = typeof route === "function" ? route(asked) : route;
    await send(response, reply ?? { json: { error: "not found" }, status: 404 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

async function send(response: ServerResponse, reply: Reply): Promise<void> {
  if ("hang" in reply) return;
  if ("redirect" in reply) {
    response.writeHead(302, { location: reply.redirect }).end();
    return;
  }
  if ("json" in reply) {
    const headers = { "content-type": "application/json", ...reply.headers };
    response.writeHead(reply.status ?? 200, headers);
    response.end(JSON.stringify(reply.json));
    return;
  }
  if ("text" in reply) {
    response.writeHead(reply.status ?? 200, { "content-type": reply.type ?? "text/plain" });
    response.end(reply.text);
    return;
  }
  response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
  for (const piece of reply.pieces) {
    if (response.destroyed) return;
    response.write(piece);
    // Each piece is to arrive by itself.
    await setImmediate();
  }
  if (reply.after === "hang") return;
  if (reply.after === "cut") response.socket?.destroy();
  else response.end();
}

/** A stream's bytes in pieces of so many bytes: inside characters, names and line ends. */
export function inPieces(text: string, bytes = 7): Uint8Array[] {
  const all = Buffer.from(text);
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < all.length; at += bytes) pieces.push(all.subarray(at, at + bytes));
  return pieces;
}

/** Events as servers write them, with `[DONE]` at the end unless told otherwise. */
export function events(chunks: readonly unknown[], done = true): string {
  const lines = chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`);
  return lines.join("") + (done ? "data: [DONE]\n\n" : "");
}
