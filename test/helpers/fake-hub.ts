import type { AddressInfo } from "node:net";
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { WebSocket } from "ws";
import { WebSocketServer } from "ws";
import { toBase64Url } from "../../shared/crypto/bytes.ts";
import { verifySignature } from "../../shared/crypto/signing.ts";
import { newId, randomBytes } from "../../shared/ids.ts";
import { closeCodes } from "../../shared/protocol/close-codes.ts";
import { decodeUpMessage, encodeFrame } from "../../shared/protocol/codec.ts";
import type { DownFrame, UpFrame } from "../../shared/protocol/frames.ts";
import type { AuthProve } from "../../shared/protocol/handshake.ts";
import { provenMessage } from "../../shared/protocol/handshake.ts";
import type { Listing, ListingPublish } from "../../shared/protocol/listing.ts";
import type { TaskOffer } from "../../shared/protocol/task.ts";

export interface FakeHubOptions {
  readonly network?: "local" | "public";
  readonly version?: number;
  readonly floor?: number;
  readonly heartbeatMs?: number;
  readonly paceMs?: number;
  /** Whether pings are answered. */
  readonly isAnswering?: boolean;
  /** Why a model is refused; null lists it. */
  readonly refusalOf?: (listing: Listing) => string | null;
}

type FrameOf<Type extends UpFrame["type"]> = Extract<UpFrame, { type: Type }>;

/** Waits until `condition` gives something, or fails with what was waited for. */
export async function until<Value>(
  waitedFor: string,
  condition: () => Value | null | undefined | false,
  withinMs = 10_000,
): Promise<Value> {
  const endMs = performance.now() + withinMs;
  while (performance.now() < endMs) {
    const value = condition();
    if (value !== null && value !== undefined && value !== false) return value;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`Waited ${withinMs} ms in vain until ${waitedFor}`);
}

/** One worker's socket at the fake hub. */
export class FakeSession {
  readonly frames: UpFrame[] = [];
  readonly nonce = toBase64Url(randomBytes(32));
  pings = 0;
  closed: { readonly code: number; readonly reason: string } | null = null;
  proof: AuthProve | null = null;
  readonly #ws: WebSocket;

  constructor(ws: WebSocket) {
    this.#ws = ws;
  }

  send(frame: DownFrame): void {
    this.#ws.send(encodeFrame(frame));
  }

  /** For what no hub would say. */
  sendText(text: string): void {
    this.#ws.send(text);
  }

  close(code: number, reason: string): void {
    this.#ws.close(code, reason);
  }

  /** Gone without a close frame, as when a machine loses power. */
  vanish(): void {
    this.#ws.terminate();
  }

  /** All frames of a type that came so far. */
  all<Type extends UpFrame["type"]>(type: Type): FrameOf<Type>[] {
    return this.frames.filter((frame): frame is FrameOf<Type> => frame.type === type);
  }

  /** The frame number `number` (from 0) of a type. */
  async next<Type extends UpFrame["type"]>(type: Type, number = 0): Promise<FrameOf<Type>> {
    return until(`the worker sends ${type} number ${number}`, () => this.all(type)[number]);
  }

  async untilClosed(): Promise<{ readonly code: number; readonly reason: string }> {
    return until("the worker's socket is closed", () => this.closed);
  }

  /** Credits granted in all so far. */
  get granted(): number {
    return this.all("credit.grant").reduce((sum, frame) => sum + frame.slots, 0);
  }

  /** Offers a chat to the first listed model and gives the offer. */
  offer(changes: Partial<TaskOffer> = {}): TaskOffer {
    const listing = this.all("listing.publish").at(-1)?.listings[0];
    if (listing === undefined) throw new Error("The worker has published nothing to offer for");
    const offer: TaskOffer = {
      type: "task.offer",
      attempt: `${newId("tsk")}.1`,
      kind: "chat",
      model: listing.model,
      digest: listing.digest,
      body: JSON.stringify({ model: listing.model, messages: [{ role: "user", content: "hi" }] }),
      body_parts: 1,
      window_bytes: 65_536,
      input_micros_per_million: listing.input_micros_per_million,
      output_micros_per_million: listing.output_micros_per_million,
      ticket: "sealed terms",
      ...changes,
    };
    this.send(offer);
    return offer;
  }
}

/** The other side for tests of the worker: a real WebSocket server that speaks the shared codec. */
export class FakeHub implements AsyncDisposable {
  readonly sessions: FakeSession[] = [];
  options: FakeHubOptions;
  readonly #http: Server;
  readonly #server: WebSocketServer;

  private constructor(http: Server, options: FakeHubOptions) {
    this.options = options;
    this.#http = http;
    this.#server = new WebSocketServer({ server: http, path: "/worker" });
    this.#server.on("connection", (ws) => this.#welcome(ws));
  }

  static async start(options: FakeHubOptions = {}): Promise<FakeHub> {
    const http = createServer((_request, response) => response.end("a fake edge"));
    const hub = new FakeHub(http, options);
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    return hub;
  }

  /** The edge's address, as a worker is configured with it. */
  get edge(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  /** The session number `number` (from 0), once it has proved itself and been granted credits. */
  async serving(number = 0): Promise<FakeSession> {
    return until(`session ${number} serves`, () => {
      const session = this.sessions[number];
      return session !== undefined && session.granted > 0 ? session : null;
    });
  }

  /** The session number `number` (from 0), as soon as it is dialled. */
  async dialled(number = 0): Promise<FakeSession> {
    return until(`session ${number} is dialled`, () => this.sessions[number]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const ws of this.#server.clients) ws.terminate();
    this.#server.close();
    await new Promise<void>((resolve) => this.#http.close(() => resolve()));
  }

  #welcome(ws: WebSocket): void {
    const session = new FakeSession(ws);
    this.sessions.push(session);
    const { version = 1, floor = 1, network = "local" } = this.options;
    const hub = "weur:0";
    session.send({ type: "auth.challenge", version, floor, hub, network, nonce: session.nonce });
    ws.on("message", (data) => void this.#receive(session, String(data)));
    ws.on("error", () => undefined);
    ws.on("close", (code, reason) => {
      session.closed = { code, reason: reason.toString() };
    });
  }

  async #receive(session: FakeSession, text: string): Promise<void> {
    if (text === "ping") {
      session.pings += 1;
      if (this.options.isAnswering !== false) session.sendText("pong");
      return;
    }
    const decoded = decodeUpMessage(text);
    if (decoded.kind === "broken") {
      session.close(closeCodes[decoded.close], decoded.reason);
      return;
    }
    for (const frame of decoded.frame) {
      session.frames.push(frame);
      if (frame.type === "auth.prove") await this.#prove(session, frame);
      if (frame.type === "listing.publish") this.#list(session, frame);
    }
  }

  async #prove(session: FakeSession, proof: AuthProve): Promise<void> {
    const { worker, version, agent, signature } = proof;
    const account = proof.account ?? "";
    const { nonce } = session;
    const origin = new URL(this.edge).origin;
    const message = provenMessage({
      hub: "weur:0",
      origin,
      nonce,
      worker,
      version,
      agent,
      account,
    });
    const domain = "octo-auth-v1";
    if (!(await verifySignature({ publicKey: worker, domain, message, signature }))) {
      session.close(closeCodes.unproven, "the proof is wrong");
      return;
    }
    session.proof = proof;
    session.send({
      type: "auth.welcome",
      version,
      epoch: this.sessions.length,
      region: "weur",
      account: account === "" ? "acct_0000000000000000000000" : account,
      heartbeat_ms: this.options.heartbeatMs ?? 10_000,
      pace_ms: this.options.paceMs ?? 50,
    });
  }

  #list(session: FakeSession, { revision, listings }: ListingPublish): void {
    const listed: string[] = [];
    const refused: { model: string; reason: string }[] = [];
    for (const listing of listings) {
      const reason = this.options.refusalOf?.(listing) ?? null;
      if (reason === null) listed.push(listing.model);
      else refused.push({ model: listing.model, reason });
    }
    session.send({ type: "listing.result", revision, listed, refused });
  }
}
