import { z } from "zod";
import { assert } from "../../../shared/assert.ts";
import { toBase64Url } from "../../../shared/crypto/bytes.ts";
import { verifySignature } from "../../../shared/crypto/signing.ts";
import { randomBytes } from "../../../shared/ids.ts";
import { closeCodes, type CloseName, closeReason } from "../../../shared/protocol/close-codes.ts";
import { encodeFrame } from "../../../shared/protocol/codec.ts";
import type { DownFrame } from "../../../shared/protocol/frames.ts";
import { type AuthProve, provenMessage } from "../../../shared/protocol/handshake.ts";
import {
  controlFramesPerSecondMax,
  heartbeatMs,
  protocolFloor,
  protocolVersion,
  proveWithinMs,
  silenceMs,
} from "../../../shared/protocol/limits.ts";
import { type Region, regions } from "../../../shared/regions.ts";

/** What a socket carries through hibernation; everything else about it is in memory or storage. */
const attachmentSchema = z.object({
  v: z.literal(1),
  sessionId: z.string(),
  nonce: z.string(),
  origin: z.string(),
  region: z.enum(regions),
  openedMs: z.int(),
  phase: z.enum(["challenged", "proven"]),
});
type Attachment = z.infer<typeof attachmentSchema>;

export interface WorkerSocket extends Omit<Attachment, "phase"> {
  readonly ws: WebSocket;
  phase: "challenged" | "proving" | "proven" | "closed";
  heardMs: number;
  /** The second in which `frames` control frames came. */
  second: number;
  frames: number;
}

/**
 * The sockets of one hub: opening, proving, sending, closing, and telling the living from the dead.
 */
export class WorkerSockets {
  readonly #ctx: DurableObjectState;
  readonly #hubId: string;
  readonly #network: "local" | "public";
  readonly #sockets = new Map<WebSocket, WorkerSocket>();
  readonly #bySessionId = new Map<string, WorkerSocket>();

  constructor(ctx: DurableObjectState, hubId: string, network: "local" | "public") {
    this.#ctx = ctx;
    this.#hubId = hubId;
    this.#network = network;
    // Answered by the runtime without waking the hub.
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
    for (const ws of ctx.getWebSockets()) {
      const attachment = attachmentSchema.safeParse(ws.deserializeAttachment());
      if (attachment.success) this.#add({ ...attachment.data, ws });
      else ws.close(closeCodes.restart, "this hub was updated; come back");
    }
  }

  get count(): number {
    return this.#sockets.size;
  }

  /** Somebody is here that has not proved itself. */
  get hasStrangers(): boolean {
    return [...this.#sockets.values()].some((socket) => socket.phase !== "proven");
  }

  /** The one that has been here longest without proving itself, where it came before `atMs`. */
  strangerSince(atMs: number): WorkerSocket | null {
    for (const socket of this.#sockets.values()) {
      if (socket.phase !== "proven" && socket.openedMs < atMs) return socket;
    }
    return null;
  }

  of(ws: WebSocket): WorkerSocket | null {
    return this.#sockets.get(ws) ?? null;
  }

  proven(): WorkerSocket[] {
    return [...this.#sockets.values()].filter((socket) => socket.phase === "proven");
  }

  bySessionId(sessionId: string): WorkerSocket | null {
    return this.#bySessionId.get(sessionId) ?? null;
  }

  /** Accepts a connection and challenges it. */
  open(ws: WebSocket, from: { readonly origin: string; readonly region: Region }, nowMs: number) {
    const attachment: Attachment = {
      v: 1,
      sessionId: toBase64Url(randomBytes(16)),
      nonce: toBase64Url(randomBytes(32)),
      origin: from.origin,
      region: from.region,
      openedMs: nowMs,
      phase: "challenged",
    };
    this.#ctx.acceptWebSocket(ws);
    ws.serializeAttachment(attachment);
    const socket = this.#add({ ...attachment, ws });
    this.send(socket, {
      type: "auth.challenge",
      version: protocolVersion,
      floor: protocolFloor,
      hub: this.#hubId,
      network: this.#network,
      nonce: attachment.nonce,
    });
  }

  #add(from: Attachment & { readonly ws: WebSocket }): WorkerSocket {
    const socket: WorkerSocket = { ...from, heardMs: from.openedMs, second: 0, frames: 0 };
    this.#sockets.set(socket.ws, socket);
    this.#bySessionId.set(socket.sessionId, socket);
    return socket;
  }

  /** Whether the proof is this worker's, for this hub, this origin and this socket's nonce. */
  async prove(
    socket: WorkerSocket,
    proof: AuthProve,
  ): Promise<
    { readonly kind: "proven" } | { readonly kind: "refused"; close: CloseName; reason: string }
  > {
    if (proof.version < protocolFloor || proof.version > protocolVersion) {
      const spoken = `versions ${protocolFloor} to ${protocolVersion}`;
      return {
        kind: "refused",
        close: "versionTooOld",
        reason: `this edge speaks ${spoken}; update octo-worker`,
      };
    }
    const valid = await verifySignature({
      publicKey: proof.worker,
      domain: "octo-auth-v1",
      message: provenMessage({
        hub: this.#hubId,
        origin: socket.origin,
        nonce: socket.nonce,
        worker: proof.worker,
        version: proof.version,
        agent: proof.agent,
        account: proof.account ?? "",
      }),
      signature: proof.signature,
    });
    return valid
      ? { kind: "proven" }
      : { kind: "refused", close: "unproven", reason: "the signature does not prove the identity" };
  }

  /** Lets a proven worker in. */
  welcome(
    socket: WorkerSocket,
    session: {
      readonly version: number;
      readonly epoch: number;
      readonly accountId: string;
      readonly paceMs: number;
      readonly spreadMs: number;
    },
  ): void {
    // Its proof may have been overtaken by a newer connection of the same identity.
    if (socket.phase === "closed") return;
    socket.phase = "proven";
    const { v, sessionId, nonce, origin, region, openedMs, phase } = socket;
    const attachment: Attachment = { v, sessionId, nonce, origin, region, openedMs, phase };
    socket.ws.serializeAttachment(attachment);
    this.send(socket, {
      type: "auth.welcome",
      version: session.version,
      epoch: session.epoch,
      region,
      account: session.accountId,
      heartbeat_ms: heartbeatMs,
      pace_ms: session.paceMs,
      spread_ms: session.spreadMs,
    });
  }

  /** Counts a control frame; false where the worker sends more of them than any sane one would. */
  countControlFrame(socket: WorkerSocket, nowMs: number): boolean {
    const second = Math.floor(nowMs / 1000);
    if (second !== socket.second) {
      socket.second = second;
      socket.frames = 0;
    }
    socket.frames += 1;
    return socket.frames <= controlFramesPerSecondMax;
  }

  send(socket: WorkerSocket, frame: DownFrame): void {
    // A socket the runtime has closed but not yet told us of: its close event follows.
    if (socket.ws.readyState !== WebSocket.OPEN) return;
    socket.ws.send(encodeFrame(frame));
  }

  /** Closes and forgets; what still comes from this socket is nobody's. */
  close(socket: WorkerSocket, name: CloseName, reason: string): void {
    assert(socket.phase !== "closed", "a socket is closed once");
    this.forget(socket);
    if (socket.ws.readyState <= WebSocket.OPEN)
      socket.ws.close(closeCodes[name], closeReason(reason));
  }

  forget(socket: WorkerSocket): void {
    socket.phase = "closed";
    this.#sockets.delete(socket.ws);
    this.#bySessionId.delete(socket.sessionId);
  }

  /** Sockets that never proved themselves in time, or have been silent for three heartbeats. */
  dead(
    nowMs: number,
  ): { readonly socket: WorkerSocket; readonly close: CloseName; reason: string }[] {
    const dead: ReturnType<WorkerSockets["dead"]> = [];
    for (const socket of this.#sockets.values()) {
      const ponged = this.#ctx.getWebSocketAutoResponseTimestamp(socket.ws)?.getTime() ?? 0;
      const heardMs = Math.max(socket.heardMs, ponged);
      if (socket.phase !== "proven" && nowMs - socket.openedMs > proveWithinMs) {
        const reason = `no proof within ${proveWithinMs} ms`;
        dead.push({ socket, close: "unproven", reason });
      } else if (nowMs - heardMs > silenceMs) {
        const reason = `silent for ${silenceMs} ms; send ping every ${heartbeatMs} ms`;
        dead.push({ socket, close: "silent", reason });
      }
    }
    return dead;
  }
}
