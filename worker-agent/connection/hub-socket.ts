import { WebSocket } from "ws";
import { encodeFrame, joinFrames } from "../../shared/protocol/codec.ts";
import type { UpFrame } from "../../shared/protocol/frames.ts";
import { frameBytesMax } from "../../shared/protocol/limits.ts";
import { gatherFrames } from "./gather-frames.ts";

export interface HubSocketEvents {
  opened(): void;
  received(data: unknown): void;
  closed(code: number, reason: string): void;
}

/**
 * Twice what a frame may have: a frame too large by our own count is closed with a code that says
 * so.
 */
const payloadBytesMax = 2 * frameBytesMax;
/** A peer that does not answer a close frame within a second is not waited for. */
const closeWithinMs = 1_000;
/** RFC 6455 section 7.1.5: there was no close frame. */
const noCloseFrame = 1006;

/** One socket to a hub. After `hangUp` its events end. */
export class HubSocket {
  readonly #ws: WebSocket;
  #events: HubSocketEvents | null;
  #failure = "";
  #gathered: UpFrame[] = [];

  constructor(url: string, agent: string, events: HubSocketEvents) {
    this.#events = events;
    this.#ws = new WebSocket(url, {
      perMessageDeflate: false,
      maxPayload: payloadBytesMax,
      headers: { "user-agent": agent },
    });
    this.#ws.on("open", () => this.#events?.opened());
    this.#ws.on("message", (data, isBinary) => {
      this.#events?.received(isBinary ? data : String(data));
    });
    this.#ws.on("unexpected-response", (_request, response) => {
      this.#failure = `the edge answered ${response.statusCode ?? "nothing"}`;
      const spreadMs = spreadMsOfRetryAfter(response.headers["retry-after"]);
      if (spreadMs !== null) this.#failure += `; spread_ms=${spreadMs}`;
      response.resume();
      // Whoever listens to this event ends the socket too: nothing else closes it.
      this.#ws.terminate();
    });
    this.#ws.on("error", (error) => {
      if (this.#failure === "") this.#failure = error.message || error.name;
    });
    this.#ws.on("close", (code, reason) => this.#close(code, reason.toString()));
  }

  /**
   * Sends a frame, together with what else is said in this turn of the event loop: a
   * message a frame would cost the hub an event each.
   */
  send(frame: UpFrame): void {
    if (this.#gathered.length === 0) setImmediate(() => this.#flush());
    this.#gathered.push(frame);
  }

  /** Sends what is no frame, at once. */
  ping(): void {
    if (this.#ws.readyState === WebSocket.OPEN) this.#ws.send("ping");
  }

  #flush(): void {
    const frames = this.#gathered;
    this.#gathered = [];
    // A socket that is closing: its close event follows.
    if (this.#ws.readyState !== WebSocket.OPEN) return;
    const texts = gatherFrames(frames).map((frame) => encodeFrame(frame));
    for (const message of joinFrames(texts)) this.#ws.send(message);
  }

  /** Closes and forgets; resolves when the socket is gone. */
  async hangUp(code: number, reason: string): Promise<void> {
    this.#events = null;
    this.#flush();
    const ws = this.#ws;
    if (ws.readyState === WebSocket.CLOSED) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => ws.terminate(), closeWithinMs);
      ws.once("close", () => {
        clearTimeout(timer);
        resolve();
      });
      ws.close(code, reason);
    });
  }

  #close(code: number, reason: string): void {
    const events = this.#events;
    this.#events = null;
    events?.closed(code === 1005 ? noCloseFrame : code, reason === "" ? this.#failure : reason);
  }
}

/**
 * An edge that has no room says when to ask again, in seconds (RFC 9110 section 10.2.3): told like
 * the spread of a hub that closes.
 */
function spreadMsOfRetryAfter(value: string | undefined): number | null {
  return value !== undefined && /^\d{1,3}$/.test(value) ? Number(value) * 1_000 : null;
}
