import { DurableObject } from "cloudflare:workers";
import { assert, assertNever } from "../../shared/assert.ts";
import type { CloseName } from "../../shared/protocol/close-codes.ts";
import { decodeUpMessage } from "../../shared/protocol/codec.ts";
import type { UpFrame } from "../../shared/protocol/frames.ts";
import type { AuthProve } from "../../shared/protocol/handshake.ts";
import { frameBytesMax, unprovenFrameBytesMax } from "../../shared/protocol/limits.ts";
import { isRegion } from "../../shared/regions.ts";
import { TicketSeal } from "../billing/ticket.ts";
import { digestOf } from "../directory/digest.ts";
import { type Config, configOf, edgeSigningKey, type Env } from "../env.ts";
import type { InferenceTask } from "../inference/task.ts";
import { accountObject } from "../objects.ts";
import { Answers, type RunResult } from "./answers.ts";
import { earningAccount } from "./earning-account.ts";
import { defaultHubConfig, type HubConfig } from "./hub-config.ts";
import { createHubState, type HubEffect, type HubEvent, type HubState } from "./hub-state.ts";
import { Presence } from "./presence.ts";
import { Settler } from "./settler.ts";
import { stepHub } from "./step-hub.ts";
import { readSubmission } from "./submitted-receipt.ts";
import { type WorkerSocket, WorkerSockets } from "./worker-sockets.ts";

/** Deadlines are seconds long; half a second late is on time. */
const tickMs = 500;
/** Sweeps for dead sockets and repeats the digest, also while nothing else happens. */
const sweepMs = 30_000;

/**
 * Up to 256 workers' sockets, and the tasks on them. The rules are in step-hub.ts; this performs
 * their effects.
 */
export class Hub extends DurableObject<Env> {
  readonly #config: Config;
  readonly #startedMs = Date.now();
  readonly #state: HubState;
  readonly #sockets: WorkerSockets;
  readonly #presence: Presence;
  readonly #answers: Answers;
  readonly #settler: Settler;
  #ticking = false;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#config = configOf(env);
    const limits = hubConfigOf(ctx.id.name, this.#config);
    const region = limits.id.split(":")[0];
    assert(isRegion(region), `the hub ${limits.id} names a region`);
    this.#state = createHubState(limits);
    this.#sockets = new WorkerSockets(ctx, limits.id, limits.network);
    const hub = { hubId: limits.id, region, sessionsMax: limits.sessionsMax };
    this.#presence = new Presence(ctx, env, { id: limits.id, region }, () =>
      digestOf({ ...hub, atMs: Date.now() }, this.#state.sessions.values()),
    );
    this.#answers = new Answers({
      gone: (taskId) => this.#dispatch({ kind: "consumer.gone", taskId }),
      read: (taskId) => this.#dispatch({ kind: "consumer.reads", taskId }),
    });
    this.#settler = new Settler({
      close: (accountId, closings) => accountObject(env, accountId).close(closings),
      acknowledge: (workerId, attempts) => this.#acknowledge(workerId, attempts),
      distrust: (sessionId, reason) => this.#close(sessionId, "malformed", reason),
      edgeKey: () => edgeSigningKey(this.#config),
    });
    for (const session of this.#presence.restore((id) => this.#sockets.bySessionId(id) !== null)) {
      this.#dispatch({ kind: "session.restored", session });
    }
    // It fell asleep before they had said what they offer: their next frame would be nobody's.
    for (const { sessionId } of this.#sockets.proven()) {
      if (this.#state.sessions.has(sessionId)) continue;
      this.#close(sessionId, "restart", "this hub forgot you; come back");
    }
  }

  /**
   * The WebSocket upgrade of a worker; the front Worker has set the region from the connection's
   * place.
   */
  override async fetch(request: Request): Promise<Response> {
    const region = request.headers.get("x-octo-region");
    assert(isRegion(region), "the front Worker names the region");
    if (this.#sockets.count >= this.#state.config.sessionsMax) {
      return new Response("this hub is full", { status: 503 });
    }
    const { 0: client, 1: server } = new WebSocketPair();
    this.#sockets.open(server, { origin: new URL(request.url).origin, region }, Date.now());
    if ((await this.ctx.storage.getAlarm()) === null) {
      // The first sweep comes soon: it closes sockets that never proved themselves.
      await this.ctx.storage.setAlarm(Date.now() + sweepMs / 5);
    }
    return new Response(null, { status: 101, webSocket: client });
  }

  /** Runs one task: returns once its answer begins (streamed), is complete, or cannot be had. */
  run(task: InferenceTask): Promise<RunResult> {
    const result = this.#answers.open(task);
    this.#dispatch({ kind: "task.submitted", task });
    return result;
  }

  /** The consumer of a task that is not streamed hung up. */
  cancel(taskId: string): void {
    this.#dispatch({ kind: "consumer.gone", taskId });
  }

  /** Being called is all it takes: the constructor finds out who has left. */
  wake(): void {
    this.#presence.digestChanged(Date.now());
  }

  override webSocketMessage(ws: WebSocket, data: string | ArrayBuffer): void | Promise<void> {
    const socket = this.#sockets.of(ws);
    if (socket === null) return;
    socket.heardMs = Date.now();
    const bytesMax = socket.phase === "proven" ? frameBytesMax : unprovenFrameBytesMax;
    const decoded = decodeUpMessage(data, bytesMax);
    if (decoded.kind === "broken") {
      this.#closeSocket(socket, decoded.close, decoded.reason);
      return;
    }
    if (socket.phase === "proven") {
      for (const frame of decoded.frame) this.#takeFrame(socket, frame);
      return;
    }
    const [proof] = decoded.frame;
    if (socket.phase === "challenged" && proof?.type === "auth.prove") {
      return this.#prove(socket, proof);
    }
    this.#closeSocket(socket, "unproven", "the first frame is auth.prove, once");
  }

  #takeFrame(socket: WorkerSocket, frame: UpFrame): void {
    // An earlier frame of the same message may have cost it the socket.
    if (socket.phase !== "proven") return;
    const ofWork = "attempt" in frame || frame.type === "credit.grant";
    if (ofWork || this.#sockets.countControlFrame(socket, socket.heardMs)) {
      this.#dispatch({ kind: "frame", sessionId: socket.sessionId, frame });
    } else this.#closeSocket(socket, "flood", "too many control frames in a second");
  }

  override webSocketClose(ws: WebSocket, code: number, reason: string): void {
    this.#lost(ws, `closed ${code} ${reason}`.trim());
  }

  override webSocketError(ws: WebSocket): void {
    this.#lost(ws, "socket error");
  }

  override async alarm(): Promise<void> {
    // Re-armed first: whatever fails below, the next sweep comes.
    if (this.#sockets.count > 0) await this.ctx.storage.setAlarm(Date.now() + sweepMs);
    for (const { socket, close, reason } of this.#sockets.dead(Date.now())) {
      this.#closeSocket(socket, close, reason);
    }
    this.#presence.digestChanged(Date.now());
  }

  async #prove(socket: WorkerSocket, proof: AuthProve): Promise<void> {
    socket.phase = "proving";
    const result = await this.#sockets.prove(socket, proof);
    if (result.kind === "refused") {
      this.#closeSocket(socket, result.close, result.reason);
      return;
    }
    const accountId = await earningAccount(this.env, proof);
    // It may have closed, or sent a second frame, while we waited.
    if (this.#sockets.of(socket.ws) !== socket) return;
    if (accountId === null) {
      this.#closeSocket(socket, "refused", `there is no account ${proof.account}`);
      return;
    }
    // Milliseconds as epoch: sessions of one worker are ordered across hubs without asking anyone,
    // by when they connected, because proofs may overtake each other.
    const { sessionId, region, openedMs: epoch } = socket;
    const workerId = proof.worker;
    this.#dispatch({ kind: "session.opened", sessionId, workerId, accountId, region, epoch });
    if (!this.#state.sessions.has(sessionId)) return;
    this.#presence.arrived(sessionId, proof.agent);
    this.#sockets.welcome(socket, { epoch, accountId, paceMs: this.#state.config.paceMs });
  }

  #lost(ws: WebSocket, reason: string): void {
    const socket = this.#sockets.of(ws);
    if (socket === null) return;
    this.#sockets.forget(socket);
    this.#dispatch({ kind: "session.closed", sessionId: socket.sessionId, reason });
  }

  #close(sessionId: string, name: CloseName, reason: string): void {
    const socket = this.#sockets.bySessionId(sessionId);
    if (socket !== null) this.#closeSocket(socket, name, reason);
  }

  #closeSocket(socket: WorkerSocket, name: CloseName, reason: string): void {
    this.#sockets.close(socket, name, reason);
    this.#dispatch({
      kind: "session.closed",
      sessionId: socket.sessionId,
      reason: `${name}: ${reason}`,
    });
  }

  #acknowledge(workerId: string, attempts: readonly string[]): void {
    const socket = this.#sockets.bySessionId(this.#state.sessionIdByWorkerId.get(workerId) ?? "");
    if (socket !== null) {
      this.#sockets.send(socket, { type: "receipt.ack", attempts: [...attempts] });
    }
  }

  async #takeReceipts(effect: Extract<HubEffect, { kind: "receipts.submitted" }>): Promise<void> {
    const session = this.#state.sessions.get(effect.sessionId);
    if (session === undefined) return;
    const context = {
      session,
      seal: new TicketSeal(this.#config.ticketSecret),
      edgeKey: await edgeSigningKey(this.#config),
      hubStartedMs: this.#startedMs,
      nowMs: Date.now(),
    };
    for (const entry of effect.frame.entries) {
      const submission = await readSubmission(entry, context);
      if (submission.kind === "close") {
        this.#settler.submit(submission.closing, entry.signed);
      } else this.#acknowledge(session.workerId, [entry.signed.receipt.attempt]);
    }
  }

  #dispatch(event: HubEvent): void {
    const nowMs = Date.now();
    const effects = stepHub(this.#state, event, nowMs, Math.random);
    for (const effect of effects) this.#perform(effect);
    this.#answers.flush(nowMs);
    if (!this.#ticking && this.#state.tasks.size > 0) this.ctx.waitUntil(this.#tick());
    if (changesDigest(event)) this.#presence.digestChanged(nowMs);
  }

  async #tick(): Promise<void> {
    this.#ticking = true;
    while (this.#state.tasks.size > 0) {
      await new Promise((resolve) => setTimeout(resolve, tickMs));
      this.#dispatch({ kind: "tick" });
      this.#answers.keepAlive(Date.now());
    }
    this.#ticking = false;
  }

  #perform(effect: HubEffect): void {
    switch (effect.kind) {
      case "send": {
        const socket = this.#sockets.bySessionId(effect.sessionId);
        if (socket !== null) this.#sockets.send(socket, effect.frame);
        return;
      }
      case "close":
        this.#close(effect.sessionId, effect.close, effect.reason);
        return;
      case "started":
        this.#answers.start(effect.attempt, Date.now());
        return;
      case "deliver":
        this.#answers.deliver(effect.taskId, effect.parts);
        return;
      case "ended":
        this.#answers.end(effect.ending);
        this.#settler.settle(effect.ending);
        return;
      case "listed":
        this.#presence.listed(effect.session);
        return;
      case "unlisted":
        this.#presence.left(effect.session);
        return;
      case "receipts.submitted":
        this.ctx.waitUntil(this.#takeReceipts(effect));
        return;
      default:
        assertNever(effect);
    }
  }
}

/** Whether free slots, listings or sessions may be others after this event. */
function changesDigest(event: HubEvent): boolean {
  return event.kind !== "tick" && event.kind !== "consumer.reads" && event.kind !== "consumer.gone";
}

function hubConfigOf(name: string | undefined, config: Config): HubConfig {
  assert(name !== undefined, "a hub is reached by its name");
  const { network, firstTokenMs, queueMs, stallMs } = config;
  return { ...defaultHubConfig, id: name, network, firstTokenMs, queueMs, stallMs };
}
