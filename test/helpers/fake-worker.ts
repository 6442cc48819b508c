import { sha256Hex } from "../../shared/crypto/bytes.ts";
import { generateSigningKey, type SigningKey } from "../../shared/crypto/signing.ts";
import { decodeDown, encodeFrame } from "../../shared/protocol/codec.ts";
import type { DownFrame, UpFrame } from "../../shared/protocol/frames.ts";
import {
  type AuthChallenge,
  type AuthProve,
  provenMessage,
} from "../../shared/protocol/handshake.ts";
import { protocolVersion } from "../../shared/protocol/limits.ts";
import type { Listing } from "../../shared/protocol/listing.ts";
import {
  OutputTranscript,
  partBytes,
  type Receipt,
  signReceipt,
} from "../../shared/protocol/receipt.ts";
import type { OutputPart } from "../../shared/openai/output.ts";
import type { TaskCancel, TaskEnd, TaskFail, TaskOffer } from "../../shared/protocol/task.ts";
import { sampleListing } from "./frames.ts";
import { until } from "./until.ts";

/** What a WebSocket is on every platform. */
export interface PeerSocket {
  send(text: string): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
  addEventListener(
    type: "close",
    listener: (event: { code: number; reason: string }) => void,
  ): void;
}

type FrameOf<Type extends DownFrame["type"]> = Extract<DownFrame, { type: Type }>;

/** What a fake worker does with an offer. */
export type Script = (attempt: FakeAttempt) => void | Promise<void>;

export interface FakeWorkerOptions {
  readonly key?: SigningKey;
  readonly listing?: Partial<Listing>;
  /** What a test's own hub expects of the origin a worker dialled. */
  readonly origin: string;
  readonly account?: string;
  readonly script?: Script;
}

/** A worker on the other side of a hub's socket, which does what a test tells it. */
export class FakeWorker {
  readonly key: SigningKey;
  readonly listing: Listing;
  readonly frames: DownFrame[] = [];
  readonly attempts: FakeAttempt[] = [];
  /** Messages that are no frames: answers to pings. */
  readonly texts: unknown[] = [];
  closed: { readonly code: number; readonly reason: string } | null = null;
  readonly #socket: PeerSocket;
  readonly #options: FakeWorkerOptions;
  #revision = 0;

  constructor(socket: PeerSocket, key: SigningKey, options: FakeWorkerOptions) {
    this.#socket = socket;
    this.#options = options;
    this.key = key;
    this.listing = { ...sampleListing, ...options.listing };
    socket.addEventListener("message", ({ data }) => this.#take(data));
    socket.addEventListener("close", ({ code, reason }) => {
      this.closed ??= { code, reason };
    });
  }

  static async create(socket: PeerSocket, options: FakeWorkerOptions): Promise<FakeWorker> {
    return new FakeWorker(socket, options.key ?? (await generateSigningKey()).key, options);
  }

  get id(): string {
    return this.key.publicKey;
  }

  send(frame: UpFrame): void {
    this.#socket.send(encodeFrame(frame));
  }

  /** For what no worker would say. */
  sendText(text: string): void {
    this.#socket.send(text);
  }

  /** Says goodbye. */
  close(): void {
    this.#socket.close(1000, "done");
  }

  all<Type extends DownFrame["type"]>(type: Type): FrameOf<Type>[] {
    return this.frames.filter((frame): frame is FrameOf<Type> => frame.type === type);
  }

  /** The first frame of a type, once it is there. */
  first<Type extends DownFrame["type"]>(type: Type): Promise<FrameOf<Type>> {
    return until(`the hub sends ${type}`, () => this.all(type)[0]);
  }

  /** How the hub closed the socket, once it has. */
  ending(): Promise<{ readonly code: number; readonly reason: string }> {
    return until("the hub closes the socket", () => this.closed);
  }

  async proofFor(challenge: AuthChallenge, changed: Partial<AuthProve> = {}): Promise<AuthProve> {
    const { account, origin } = this.#options;
    const proof = {
      type: "auth.prove",
      version: protocolVersion,
      worker: this.id,
      agent: "fake-worker/1",
      ...(account === undefined ? {} : { account }),
    } as const;
    const { hub, nonce } = challenge;
    const message = provenMessage({ ...proof, account: account ?? "", hub, origin, nonce });
    return { ...proof, signature: await this.key.sign("octo-auth-v1", message), ...changed };
  }

  /** Proves itself as it should, and waits to be let in. */
  async prove(): Promise<void> {
    this.send(await this.proofFor(await this.first("auth.challenge")));
    await this.first("auth.welcome");
  }

  publish(listings: readonly Listing[] = [this.listing]): void {
    this.#revision += 1;
    const revision = this.#revision;
    this.send({ type: "listing.publish", revision, listings: [...listings] });
  }

  grant(slots: number): void {
    this.send({ type: "credit.grant", slots });
  }

  /** The attempt with this number (from 0) of those offered to this worker, once it is there. */
  attempt(number = 0): Promise<FakeAttempt> {
    return until("the hub offers an attempt", () => this.attempts[number]);
  }

  #take(data: unknown): void {
    const decoded = decodeDown(data);
    if (decoded.kind === "broken") {
      this.texts.push(data);
      return;
    }
    const { frame } = decoded;
    this.frames.push(frame);
    if (frame.type === "task.offer") {
      const attempt = new FakeAttempt(this, frame);
      this.attempts.push(attempt);
      void this.#options.script?.(attempt);
    } else if (frame.type === "task.body" || frame.type === "task.window") {
      this.#attemptOf(frame.attempt)?.take(frame);
    } else if (frame.type === "task.cancel") {
      const attempt = this.#attemptOf(frame.attempt);
      if (attempt !== undefined) attempt.cancelled = frame;
    }
  }

  #attemptOf(id: string): FakeAttempt | undefined {
    return this.attempts.find(({ offer }) => offer.attempt === id);
  }
}

/** One offered attempt, and what a worker may say of it. */
export class FakeAttempt {
  readonly worker: FakeWorker;
  readonly offer: TaskOffer;
  readonly transcript = new OutputTranscript();
  cancelled: TaskCancel | null = null;
  windowBytes: number;
  #seq = 0;
  #body: string;

  constructor(worker: FakeWorker, offer: TaskOffer) {
    this.worker = worker;
    this.offer = offer;
    this.windowBytes = offer.window_bytes;
    this.#body = offer.body;
  }

  get request(): Record<string, unknown> {
    return JSON.parse(this.#body) as Record<string, unknown>;
  }

  take(frame: FrameOf<"task.body"> | FrameOf<"task.window">): void {
    if (frame.type === "task.body") this.#body += frame.text;
    else this.windowBytes += frame.bytes;
  }

  accept(): void {
    this.worker.send({ type: "task.accept", attempt: this.offer.attempt });
  }

  refuse(): void {
    this.worker.send({ type: "task.refuse", attempt: this.offer.attempt, reason: "busy" });
  }

  /** One token of output. */
  delta(text: string): void {
    this.parts([{ index: 0, tokens: 1, text }]);
  }

  parts(parts: OutputPart[]): void {
    for (const part of parts) this.#count(part);
    const { attempt } = this.offer;
    this.worker.send({ type: "task.delta", attempt, seq: this.#seq, parts });
    this.#seq += 1;
  }

  fail(code: TaskFail["code"], message: string): void {
    const { attempt } = this.offer;
    this.worker.send({ type: "task.fail", attempt, seq: this.#seq, code, message });
  }

  /** The last words of an honest worker, with anything in them changed before it signs. */
  async end(
    changed: { readonly receipt?: Partial<Receipt>; readonly frame?: Partial<TaskEnd> } = {},
  ): Promise<TaskEnd> {
    const { offer, transcript } = this;
    const outcome = this.cancelled === null ? "complete" : "cancelled";
    const usage = { prompt: 5, completion: transcript.tokens, cached: 0 };
    const nowMs = Date.now();
    const receipt: Receipt = {
      v: 1,
      attempt: offer.attempt,
      worker: this.worker.id,
      model: offer.digest,
      prompt_hash: await sha256Hex(this.#body),
      output_hash: await transcript.hash(),
      outcome,
      prompt_tokens: usage.prompt,
      completion_tokens: usage.completion,
      input_micros_per_million: offer.input_micros_per_million,
      output_micros_per_million: offer.output_micros_per_million,
      started_ms: nowMs,
      first_token_ms: transcript.tokens === 0 ? null : nowMs,
      ended_ms: nowMs,
      ...changed.receipt,
    };
    const frame: TaskEnd = {
      type: "task.end",
      attempt: offer.attempt,
      seq: this.#seq,
      parts: [],
      outcome,
      finishes: [{ index: 0, reason: "stop" }],
      usage,
      receipt: await signReceipt(receipt, this.worker.key),
      ...changed.frame,
    };
    this.worker.send(frame);
    this.#seq += 1;
    return frame;
  }

  /** A whole answer, token by token, and the slot given back. */
  async answer(...tokens: readonly string[]): Promise<void> {
    this.accept();
    for (const token of tokens) this.delta(token);
    await this.end();
    this.worker.grant(1);
  }

  #count(part: OutputPart): void {
    this.transcript.add(part);
    this.windowBytes -= partBytes(part);
  }
}
