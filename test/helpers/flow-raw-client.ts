import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { Flow } from "./flow-world.ts";
import { until } from "./until.ts";

/** A client without manners: it says what it likes on a socket, and leaves as it likes. */
export class RawClient implements Disposable {
  received = "";
  closed = false;
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => (this.received += text));
    // A reset is one of the ways to end.
    socket.on("error", () => undefined);
    socket.once("close", () => (this.closed = true));
  }

  /** Dials an edge. One that reads nothing leaves everything in the network's buffers. */
  static async dial(url: string, isReading = true): Promise<RawClient> {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    await once(socket, "connect");
    const client = new RawClient(socket);
    if (!isReading) socket.pause();
    return client;
  }

  /** Asks for an answer as HTTP has it; `sent` is how much of the request really leaves. */
  ask(flow: Flow, body: string, sent?: number, path = "/v1/chat/completions"): void {
    const request = [
      `POST ${path} HTTP/1.1`,
      `host: ${new URL(flow.url).host}`,
      `authorization: Bearer ${flow.network.consumer.apiKey}`,
      "content-type: application/json",
      `content-length: ${Buffer.byteLength(body)}`,
      "",
      body,
    ].join("\r\n");
    this.#socket.write(request.slice(0, sent));
  }

  async untilReceived(text: string): Promise<void> {
    await until(`${text} is received`, () => this.received.includes(text));
  }

  get taskId(): string {
    return /x-octo-task: (\S+)/i.exec(this.received)?.[1] ?? "";
  }

  /** Reads from now on. */
  read(): void {
    this.#socket.resume();
  }

  /** Leaves politely (FIN); what still comes is answered by the system with RST. */
  leave(): void {
    this.#socket.destroy();
  }

  /** Leaves as a machine does that loses its power and comes back (RST). */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}
