import { WebSocket } from "ws";
import type { SigningKey } from "../../shared/crypto/signing.ts";
import { closeCodes } from "../../shared/protocol/close-codes.ts";
import { decodeDown, encodeFrame } from "../../shared/protocol/codec.ts";
import type { Listing } from "../../shared/protocol/listing.ts";
import type {
  SessionEffect,
  SessionEvent,
  SessionState,
  SessionTimer,
} from "../../worker-agent/connection/session.ts";
import { createSession, reduceSession } from "../../worker-agent/connection/session-state.ts";

/** What all workers of a storm have in common, and what they tell whoever watches. */
export interface StormPorts {
  readonly url: string;
  readonly listing: Listing;
  /** Authenticated and listed. */
  readonly ready: () => void;
  /** A dial that did not end in a welcome. */
  readonly rejected: (reason: string) => void;
  readonly lost: (reason: string) => void;
}

/**
 * A worker without an engine: the session of octo-worker (worker-agent/connection), with its proof,
 * its heartbeat and its rules of coming back, on a real socket. Ten thousand fit in one process.
 */
export class StormWorker {
  readonly #ports: StormPorts;
  readonly #key: SigningKey;
  readonly #timers = new Map<SessionTimer, NodeJS.Timeout>();
  #state: SessionState;
  #ws: WebSocket | null = null;
  #isReady = false;

  constructor(key: SigningKey, account: string, ports: StormPorts) {
    this.#ports = ports;
    this.#key = key;
    this.#state = createSession({
      worker: key.publicKey,
      agent: "octo-bench/1",
      account,
      origin: new URL(ports.url).origin.replace(/^ws/, "http"),
      isLoopback: true,
      listings: [ports.listing],
      drainMs: 0,
    });
  }

  get hub(): string | null {
    return this.#state.hub;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  start(): void {
    this.#dispatch({ kind: "start" });
  }

  /** The socket is destroyed, as when a machine or a network goes away. */
  destroy(): void {
    this.#ws?.terminate();
  }

  stop(): void {
    this.#dispatch({ kind: "abort" });
  }

  #dispatch(event: SessionEvent): void {
    const wasServing = this.#state.phase.kind === "serving";
    const step = reduceSession(this.#state, event, performance.now(), Math.random);
    this.#state = step.state;
    const { phase } = this.#state;
    if (phase.kind === "waiting" && event.kind === "closed") {
      if (wasServing) this.#ports.lost(event.reason);
      else this.#ports.rejected(`${event.code} ${event.reason}`.trim());
    }
    const isReady = phase.kind === "serving" && phase.listed !== null;
    if (isReady && !this.#isReady) this.#ports.ready();
    this.#isReady = isReady;
    for (const effect of step.effects) this.#perform(effect);
  }

  #perform(effect: SessionEffect): void {
    switch (effect.kind) {
      case "dial":
        return this.#dial(effect.hub);
      case "send":
        this.#ws?.send(encodeFrame(effect.frame));
        return;
      case "ping":
        this.#ws?.send("ping");
        return;
      case "hang-up":
        this.#ws?.close(effect.code, effect.reason);
        this.#ws = null;
        return;
      case "sign":
        void this.#sign(effect.message);
        return;
      case "set-timer":
        return this.#setTimer(effect.timer, effect.atMs);
      default:
        // Nothing is ever offered to it, and it has no receipts.
        return;
    }
  }

  #dial(hub: string | null): void {
    const url = new URL(this.#ports.url);
    if (hub !== null) url.searchParams.set("hub", hub);
    const ws = new WebSocket(url.href, { perMessageDeflate: false });
    this.#ws = ws;
    let failure = "";
    const isCurrent = () => this.#ws === ws;
    ws.on("open", () => isCurrent() && this.#dispatch({ kind: "opened" }));
    ws.on("message", (data) => isCurrent() && this.#receive(String(data)));
    ws.on("unexpected-response", (_request, response) => {
      failure = `the edge answered ${response.statusCode}`;
      response.resume();
      ws.terminate();
    });
    ws.on("error", (error) => {
      if (failure === "") failure = error.message;
    });
    ws.on("close", (code, reason) => {
      if (!isCurrent()) return;
      this.#ws = null;
      this.#dispatch({ kind: "closed", code, reason: reason.toString() || failure });
    });
  }

  async #sign(message: string): Promise<void> {
    const signature = await this.#key.sign("octo-auth-v1", message);
    this.#dispatch({ kind: "signed", message, signature });
  }

  #receive(text: string): void {
    if (text === "pong") return this.#dispatch({ kind: "heard" });
    const decoded = decodeDown(text);
    if (decoded.kind === "frame") return this.#dispatch(decoded);
    const { close, reason } = decoded;
    this.#dispatch({ kind: "broken", code: closeCodes[close], reason });
  }

  #setTimer(timer: SessionTimer, atMs: number | null): void {
    clearTimeout(this.#timers.get(timer));
    this.#timers.delete(timer);
    if (atMs === null) return;
    const delayMs = Math.max(0, Math.ceil(atMs - performance.now()));
    const fire = () => this.#dispatch({ kind: "timer", timer });
    this.#timers.set(timer, setTimeout(fire, delayMs));
  }
}
