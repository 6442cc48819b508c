import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface FakeRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingMessage["headers"];
  readonly body: unknown;
}

/** Answers a request, or a value to be sent as JSON. */
export type FakeRoute = (request: FakeRequest, response: ServerResponse) => unknown;

/** An HTTP server in the place of an edge, whose routes a test writes: `GET /v1/models`. */
export class FakeEdge implements AsyncDisposable {
  readonly requests: FakeRequest[] = [];
  readonly routes: Record<string, FakeRoute>;
  readonly #server = createServer((request, response) => void this.#answer(request, response));
  #url = "";

  private constructor(routes: Record<string, FakeRoute>) {
    this.routes = routes;
  }

  static async start(routes: Record<string, FakeRoute>): Promise<FakeEdge> {
    const edge = new FakeEdge(routes);
    edge.#server.listen(0, "127.0.0.1");
    await once(edge.#server, "listening");
    edge.#url = `http://127.0.0.1:${(edge.#server.address() as AddressInfo).port}`;
    return edge;
  }

  get url(): string {
    return this.#url;
  }

  /** The keys that were sent, in order. */
  get bearers(): (string | undefined)[] {
    return this.requests.map(({ headers }) => headers.authorization);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = "";
    for await (const piece of request.setEncoding("utf8")) text += piece;
    const url = new URL(request.url ?? "/", this.#url);
    const { method = "", headers } = request;
    const body: unknown = text === "" ? null : JSON.parse(text);
    const seen = { method, url, headers, body };
    this.requests.push(seen);
    const route = this.routes[`${method} ${url.pathname}`];
    if (route === undefined) return fail(response, 404, "not_found", `There is no ${url.pathname}`);
    const answer = await route(seen, response);
    if (answer === undefined) return;
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify(answer));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

/** Answers with an error of OpenAI's shape. */
export function fail(
  response: ServerResponse,
  status: number,
  code: string,
  message: string,
): undefined {
  response.writeHead(status, { "content-type": "application/json", "x-request-id": "req_1" });
  response.end(JSON.stringify({ error: { message, type: "x", param: null, code } }));
  return undefined;
}
