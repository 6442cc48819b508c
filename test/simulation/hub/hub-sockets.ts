import { closeCodes, type CloseName, closeReason } from "../../../shared/protocol/close-codes.ts";
import { encodeFrame } from "../../../shared/protocol/codec.ts";
import type { DownFrame } from "../../../shared/protocol/frames.ts";
import {
  controlFramesPerSecondMax,
  heartbeatMs,
  protocolFloor,
  protocolVersion,
  proveWithinMs,
  silenceMs,
} from "../../../shared/protocol/limits.ts";
import { stubPublicKey } from "../stubs.ts";
import type { Wire } from "../wire.ts";

export interface HubSocket {
  readonly sessionId: string;
  readonly nonce: string;
  readonly wire: Wire;
  readonly openedMs: number;
  phase: "challenged" | "proving" | "proven" | "closed";
  heardMs: number;
  pongedMs: number;
  second: number;
  frames: number;
}

/**
 * The sockets of a simulated hub: edge/hub/sessions/worker-sockets.ts over wires. They outlive a
 * sleep, not a reset.
 */
export class HubSockets {
  readonly bySessionId = new Map<string, HubSocket>();
  readonly #hubId: string;
  readonly #network: "local" | "public";
  /**
   * Which instance of the hub accepted them: session ids are random there and must differ here too.
   */
  readonly #life: number;
  #opened = 0;

  constructor(hubId: string, network: "local" | "public", life: number) {
    this.#hubId = hubId;
    this.#network = network;
    this.#life = life;
  }

  open(wire: Wire, nowMs: number): HubSocket {
    this.#opened += 1;
    const sessionId = `${this.#hubId}/${this.#life}#${this.#opened}`;
    const socket: HubSocket = {
      sessionId,
      nonce: stubPublicKey(`nonce ${sessionId}`),
      wire,
      openedMs: nowMs,
      phase: "challenged",
      heardMs: nowMs,
      pongedMs: 0,
      second: 0,
      frames: 0,
    };
    this.bySessionId.set(sessionId, socket);
    wire.sessionId = sessionId;
    return socket;
  }

  challenge(socket: HubSocket): void {
    this.send(socket, {
      type: "auth.challenge",
      version: protocolVersion,
      floor: protocolFloor,
      hub: this.#hubId,
      network: this.#network,
      nonce: socket.nonce,
    });
  }

  welcome(
    socket: HubSocket,
    session: { epoch: number; accountId: string; paceMs: number; spreadMs: number },
  ): void {
    if (socket.phase === "closed") return;
    socket.phase = "proven";
    this.send(socket, {
      type: "auth.welcome",
      version: protocolVersion,
      epoch: session.epoch,
      region: "weur",
      account: session.accountId,
      heartbeat_ms: heartbeatMs,
      pace_ms: session.paceMs,
      spread_ms: session.spreadMs,
    });
  }

  send(socket: HubSocket, frame: DownFrame): void {
    socket.wire.send("hub", encodeFrame(frame));
  }

  close(socket: HubSocket, name: CloseName, reason: string): void {
    this.forget(socket);
    socket.wire.close("hub", closeCodes[name], closeReason(reason));
  }

  forget(socket: HubSocket): void {
    socket.phase = "closed";
    this.bySessionId.delete(socket.sessionId);
  }

  countControlFrame(socket: HubSocket, nowMs: number): boolean {
    const second = Math.floor(nowMs / 1000);
    if (second !== socket.second) {
      socket.second = second;
      socket.frames = 0;
    }
    socket.frames += 1;
    return socket.frames <= controlFramesPerSecondMax;
  }

  dead(nowMs: number): { readonly socket: HubSocket; readonly close: CloseName }[] {
    const dead: { readonly socket: HubSocket; readonly close: CloseName }[] = [];
    for (const socket of this.bySessionId.values()) {
      const heardMs = Math.max(socket.heardMs, socket.pongedMs);
      if (socket.phase !== "proven" && nowMs - socket.openedMs > proveWithinMs) {
        dead.push({ socket, close: "unproven" });
      } else if (nowMs - heardMs > silenceMs) dead.push({ socket, close: "silent" });
    }
    return dead;
  }

  /** What a sleep forgets of a socket. */
  sleep(): void {
    for (const socket of this.bySessionId.values()) {
      socket.heardMs = socket.openedMs;
      socket.wire.sessionId = null;
      if (socket.phase === "proving") socket.phase = "challenged";
    }
  }
}
