import type { CloseName } from "../../../shared/protocol/close-codes.ts";
import { decodeUpMessage } from "../../../shared/protocol/codec.ts";
import type { UpFrame } from "../../../shared/protocol/frames.ts";
import type { AuthProve } from "../../../shared/protocol/handshake.ts";
import { frameBytesMax, unprovenFrameBytesMax } from "../../../shared/protocol/limits.ts";
import { notTakenOn } from "../../../shared/protocol/taking-on.ts";
import type { Env } from "../../env.ts";
import { admitWorker } from "./admit-worker.ts";
import type { HubEvent, HubState } from "../hub-state.ts";
import { spreadMsFor } from "./move-workers.ts";
import type { Presence } from "./presence.ts";
import type { WorkerSocket, WorkerSockets } from "./worker-sockets.ts";

/** What the gate knows of its hub. */
export interface GateHub {
  readonly env: Env;
  readonly state: HubState;
  readonly sockets: WorkerSockets;
  readonly presence: Presence;
  readonly dispatch: (event: HubEvent) => void;
}

/**
 * Where workers' messages come in: proofs are judged, frames become events, offenders are closed.
 */
export class WorkerGate {
  readonly #hub: GateHub;
  /** Who is being admitted, and by whom it may be let go before it is. */
  readonly #joining = new Map<WorkerSocket, AuthProve>();

  constructor(hub: GateHub) {
    this.#hub = hub;
  }

  take(ws: WebSocket, data: string | ArrayBuffer): void | Promise<void> {
    const socket = this.#hub.sockets.of(ws);
    if (socket === null) return;
    socket.heardMs = Date.now();
    const bytesMax = socket.phase === "proven" ? frameBytesMax : unprovenFrameBytesMax;
    const decoded = decodeUpMessage(data, bytesMax);
    if (decoded.kind === "broken") {
      this.#close(socket, decoded.close, decoded.reason);
      return;
    }
    if (socket.phase === "proven") {
      for (const frame of decoded.frame) this.#takeFrame(socket, frame);
      return;
    }
    const [proof, ...more] = decoded.frame;
    const isFirst = socket.phase === "challenged" && more.length === 0;
    if (isFirst && proof?.type === "auth.prove") return this.#prove(socket, proof);
    this.#close(socket, "unproven", "the first frame is auth.prove, once");
  }

  /** The socket is gone without our doing. */
  lost(ws: WebSocket, reason: string): void {
    const { sockets, dispatch } = this.#hub;
    const socket = sockets.of(ws);
    if (socket === null) return;
    sockets.forget(socket);
    dispatch({ kind: "session.closed", sessionId: socket.sessionId, reason });
  }

  close(sessionId: string, name: CloseName, reason: string): void {
    const socket = this.#hub.sockets.bySessionId(sessionId);
    if (socket !== null) this.#close(socket, name, reason);
  }

  /**
   * An account has let a worker go: what it has here for that account ends at once, a session and a
   * join that the account agreed to before. Answers that run are lost to it, as if it had broken.
   */
  dismiss(workerId: string, accountId: string): void {
    const { state } = this.#hub;
    for (const [socket, proof] of this.#joining) {
      if (proof.worker !== workerId || proof.account !== accountId) continue;
      this.#close(socket, "refused", notTakenOn(workerId));
    }
    const session = state.sessions.get(state.sessionIdByWorkerId.get(workerId) ?? "");
    if (session?.accountId !== accountId) return;
    this.close(session.id, "refused", notTakenOn(workerId));
  }

  /** Sockets that never proved themselves in time, or have been silent for too long. */
  sweep(nowMs: number): void {
    for (const { socket, close, reason } of this.#hub.sockets.dead(nowMs)) {
      this.#close(socket, close, reason);
    }
  }

  /** The hub fell asleep before they had said what they offer: their next frame is nobody's. */
  closeForgotten(): void {
    for (const { sessionId } of this.#hub.sockets.proven()) {
      if (this.#hub.state.sessions.has(sessionId)) continue;
      this.close(sessionId, "restart", "this hub forgot you; come back");
    }
  }

  #takeFrame(socket: WorkerSocket, frame: UpFrame): void {
    // An earlier frame of the same message may have cost it the socket.
    if (socket.phase !== "proven") return;
    const ofWork = "attempt" in frame || frame.type === "credit.grant";
    if (ofWork || this.#hub.sockets.countControlFrame(socket, socket.heardMs)) {
      this.#hub.dispatch({ kind: "frame", sessionId: socket.sessionId, frame });
    } else this.#close(socket, "flood", "too many control frames in a second");
  }

  async #prove(socket: WorkerSocket, proof: AuthProve): Promise<void> {
    // The challenge left when the socket was opened. What the worker took to sign is in it as well,
    // a millisecond at most.
    const roundTripMs = socket.heardMs - socket.openedMs;
    const { state, sockets, presence, dispatch } = this.#hub;
    this.#joining.set(socket, proof);
    const admission = await admitWorker(this.#hub, socket, proof).finally(() =>
      this.#joining.delete(socket),
    );
    if (admission.kind === "gone") return;
    if (admission.kind === "refused") {
      this.#close(socket, admission.close, admission.reason);
      return;
    }
    // Milliseconds as epoch: sessions of one worker are ordered across hubs without asking anyone,
    // by when they connected, because proofs may overtake each other.
    const { sessionId, region, openedMs: epoch } = socket;
    const { accountId } = admission;
    const workerId = proof.worker;
    const memory = presence.memoryOf(workerId);
    const { version } = proof;
    const worker = { sessionId, workerId, accountId, region, version, epoch, roundTripMs, memory };
    dispatch({ kind: "session.opened", ...worker });
    if (!state.sessions.has(sessionId)) return;
    presence.arrived(sessionId, proof.agent);
    const { paceMs } = state.config;
    const spreadMs = spreadMsFor(state.sessions.size);
    sockets.welcome(socket, { version, epoch, accountId, paceMs, spreadMs });
  }

  #close(socket: WorkerSocket, name: CloseName, reason: string): void {
    this.#hub.sockets.close(socket, name, reason);
    const { sessionId } = socket;
    this.#hub.dispatch({ kind: "session.closed", sessionId, reason: `${name}: ${reason}` });
  }
}
