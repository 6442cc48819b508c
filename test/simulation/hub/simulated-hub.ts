import { isPayable, recoveredClosing } from "../../../edge/hub/settling/closing-of.ts";
import {
  createHubState,
  type HubEffect,
  type HubEvent,
  type HubState,
  type SessionRecord,
} from "../../../edge/hub/hub-state.ts";
import { hubDigest } from "../../../edge/hub/sessions/hub-digest.ts";
import { isShut } from "../../../edge/hub/sessions/move-workers.ts";
import { spreadMsFor } from "../../../edge/hub/sessions/move-workers.ts";
import { stepHub } from "../../../edge/hub/step-hub.ts";
import type { InferenceTask } from "../../../edge/inference/task.ts";
import type { CloseName } from "../../../shared/protocol/close-codes.ts";
import { decodeUpMessage } from "../../../shared/protocol/codec.ts";
import type { UpFrame } from "../../../shared/protocol/frames.ts";
import { type AuthProve, provenMessage } from "../../../shared/protocol/handshake.ts";
import { frameBytesMax, unprovenFrameBytesMax } from "../../../shared/protocol/limits.ts";
import { describeEffect, describeEvent } from "./describe-event.ts";
import { HubAnswers } from "./hub-answers.ts";
import { HubChecks } from "./hub-checks.ts";
import { HubSettler } from "./hub-settler.ts";
import { type HubSocket, HubSockets } from "./hub-sockets.ts";
import type { RunPipe } from "../front/run-pipe.ts";
import { isReceiptSigned, openTerms, stubSignature } from "../stubs.ts";
import type { Wire } from "../wire.ts";
import type { World } from "../world.ts";

/** As in edge/hub/hub.ts and edge/hub/sessions/registrar.ts. */
const tickMs = 500;
const sweepMs = 15_000;
const digestEveryMs = 1_000;

export const edgeOrigin = "https://edge.test";

/**
 * The Durable Object of edge/hub/hub.ts around the real reducer; sockets, calls and clocks are
 * simulated.
 */
export class SimulatedHub {
  readonly id: string;
  readonly #world: World;
  readonly #skewMs: number;
  /** What is in storage: survives resets. */
  readonly #stored = new Map<string, SessionRecord & { readonly slots: number }>();
  #life = 0;
  #startedMs: number;
  #sockets: HubSockets;
  #state: HubState;
  #answers: HubAnswers;
  #settler: HubSettler;
  #checks: HubChecks;
  #isTicking = false;
  #isDigestDue = false;
  #digestedMs = 0;
  #hasAlarm = false;

  constructor(world: World, id: string) {
    this.id = id;
    this.#world = world;
    this.#skewMs = world.random.int(-world.options.skewMs, world.options.skewMs);
    this.#startedMs = this.nowMs;
    this.#sockets = new HubSockets(id, world.options.network, 0);
    this.#state = createHubState({ ...world.options.hub, id, network: world.options.network });
    this.#answers = this.#newAnswers();
    this.#settler = new HubSettler(world, this);
    this.#checks = new HubChecks(world, this.#state);
  }

  get nowMs(): number {
    return this.#world.schedule.nowMs + this.#skewMs;
  }

  get state(): HubState {
    return this.#state;
  }

  get isIdle(): boolean {
    return this.#state.tasks.size === 0 && this.#settler.isIdle && this.#answers.count === 0;
  }

  /** Runs later unless this instance is gone by then. */
  later(delayMs: number, run: () => void): void {
    const life = this.#life;
    this.#world.schedule.after(delayMs, () => {
      if (life === this.#life) run();
    });
  }

  /** False where the hub has no room. */
  connect(wire: Wire): boolean {
    const isFull = this.#sockets.bySessionId.size >= this.#state.config.sessionsMax;
    if (isFull || isShut(this.#state, this.nowMs)) return false;
    const socket = this.#sockets.open(wire, this.nowMs);
    wire.attach("hub", {
      received: (data) => this.#receive(socket, data),
      closed: (code) => this.#lost(socket, `closed ${code}`),
    });
    this.#sockets.challenge(socket);
    this.#armAlarm(sweepMs / 5);
    return true;
  }

  run(task: InferenceTask, pipe: RunPipe): void {
    this.#answers.open(task, pipe, this.nowMs);
    this.#dispatch({ kind: "task.submitted", task });
  }

  /** The consumer of a task that has no stream hung up. */
  cancel(taskId: string): void {
    this.#dispatch({ kind: "consumer.gone", taskId });
  }

  /** The front Worker cancelled the stream of a task. */
  leave(taskId: string): void {
    if (this.#answers.leave(taskId)) this.#dispatch({ kind: "consumer.gone", taskId });
  }

  read(taskId: string, count: number): void {
    this.#answers.read(taskId, count);
  }

  /** Its workers shall go elsewhere. */
  drain(withinMs: number | null): void {
    this.#world.truth.count("hub drained");
    const busyUntilMs = withinMs === null ? null : this.nowMs + withinMs;
    const spreadMs = spreadMsFor(this.#state.sessions.size);
    this.#dispatch({ kind: "hub.moves", moving: { spreadMs, busyUntilMs } });
  }

  acknowledge(workerId: string, attempts: readonly string[]): void {
    const socket = this.#sockets.bySessionId.get(
      this.#state.sessionIdByWorkerId.get(workerId) ?? "",
    );
    if (socket !== undefined) {
      this.#sockets.send(socket, { type: "receipt.ack", attempts: [...attempts] });
    }
  }

  distrust(sessionId: string, reason: string): void {
    this.#close(sessionId, "malformed", reason);
  }

  /** Memory and sockets are lost; a new instance takes over at once. */
  reset(): void {
    this.#world.trace.note(this.id, "is reset");
    const sockets = [...this.#sockets.bySessionId.values()];
    this.#answers.loseAll();
    this.#stored.clear();
    this.#restart();
    this.#sockets = new HubSockets(this.id, this.#world.options.network, this.#life);
    for (const socket of sockets) {
      socket.phase = "closed";
      socket.wire.break();
    }
  }

  /** Hibernation: memory is lost while nothing runs, sockets stay. */
  sleep(): void {
    if (!this.isIdle) return;
    this.#world.trace.note(this.id, "sleeps");
    this.#sockets.sleep();
    const stored = [...this.#stored.values()];
    this.#restart();
    for (const { slots, ...session } of stored) {
      if (this.#sockets.bySessionId.has(session.id)) {
        this.#dispatch({ kind: "session.restored", session: { ...session, credits: slots } });
      } else this.#stored.delete(session.id);
    }
    const sockets = [...this.#sockets.bySessionId.values()];
    for (const { sessionId, phase } of sockets) {
      if (phase !== "proven" || this.#state.sessions.has(sessionId)) continue;
      this.#close(sessionId, "restart", "this hub forgot you; come back");
    }
  }

  #restart(): void {
    const { options } = this.#world;
    this.#life += 1;
    this.#startedMs = this.nowMs;
    this.#state = createHubState({ ...options.hub, id: this.id, network: options.network });
    this.#checks = new HubChecks(this.#world, this.#state);
    this.#settler.die();
    this.#settler = new HubSettler(this.#world, this);
    this.#answers = this.#newAnswers();
    this.#isTicking = false;
    this.#isDigestDue = false;
  }

  #newAnswers(): HubAnswers {
    const read = (taskId: string) => this.#dispatch({ kind: "consumer.reads", taskId });
    return new HubAnswers(read, this.#world.options.hub.windowBytes);
  }

  #receive(socket: HubSocket, data: string): void {
    if (socket.phase === "closed") return;
    if (data === "ping") {
      // The platform answers without waking the hub.
      socket.pongedMs = this.nowMs;
      socket.wire.send("hub", "pong");
      return;
    }
    socket.heardMs = this.nowMs;
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
    const [proof, ...more] = decoded.frame;
    const isFirst = socket.phase === "challenged" && more.length === 0;
    if (isFirst && proof?.type === "auth.prove") this.#prove(socket, proof);
    else this.#closeSocket(socket, "unproven", "the first frame is auth.prove, once");
  }

  #takeFrame(socket: HubSocket, frame: UpFrame): void {
    // An earlier frame of the same message may have cost it the socket.
    if (socket.phase !== "proven") return;
    const ofWork = "attempt" in frame || frame.type === "credit.grant";
    if (ofWork || this.#sockets.countControlFrame(socket, socket.heardMs)) {
      this.#dispatch({ kind: "frame", sessionId: socket.sessionId, frame });
    } else this.#closeSocket(socket, "flood", "too many control frames in a second");
  }

  #prove(socket: HubSocket, proof: AuthProve): void {
    socket.phase = "proving";
    const { worker, version, agent, account = "", signature } = proof;
    const { nonce, sessionId } = socket;
    const named = { worker, version, agent, account };
    const message = provenMessage({ hub: this.id, origin: edgeOrigin, nonce, ...named });
    if (stubSignature(worker, "octo-auth-v1", message) !== signature) {
      this.#closeSocket(socket, "unproven", "the signature does not prove the identity");
      return;
    }
    // The key and the account are looked up while other frames go on.
    this.later(this.#world.random.int(0, 30), () => {
      if (this.#sockets.bySessionId.get(sessionId) !== socket) return;
      const epoch = socket.openedMs;
      const accountId = this.#world.accountOfWorker(worker);
      this.#dispatch({
        kind: "session.opened",
        sessionId,
        workerId: worker,
        accountId,
        region: "weur",
        version,
        epoch,
      });
      if (!this.#state.sessions.has(sessionId)) return;
      this.#sockets.welcome(socket, {
        epoch,
        accountId,
        paceMs: this.#state.config.paceMs,
        spreadMs: spreadMsFor(this.#state.sessions.size),
      });
    });
  }

  #lost(socket: HubSocket, reason: string): void {
    if (socket.phase === "closed") return;
    this.#sockets.forget(socket);
    this.#dispatch({ kind: "session.closed", sessionId: socket.sessionId, reason });
  }

  #close(sessionId: string, name: CloseName, reason: string): void {
    const socket = this.#sockets.bySessionId.get(sessionId);
    if (socket !== undefined) this.#closeSocket(socket, name, reason);
  }

  #closeSocket(socket: HubSocket, name: CloseName, reason: string): void {
    this.#world.truth.count(`closed: ${name}`);
    this.#sockets.close(socket, name, reason);
    const { sessionId } = socket;
    this.#dispatch({ kind: "session.closed", sessionId, reason: `${name}: ${reason}` });
  }

  #armAlarm(delayMs: number): void {
    if (this.#hasAlarm) return;
    this.#hasAlarm = true;
    // An alarm is in storage: it outlives the instance that set it.
    this.#world.schedule.after(delayMs, () => {
      this.#hasAlarm = false;
      if (this.#sockets.bySessionId.size > 0) this.#armAlarm(sweepMs);
      for (const { socket, close } of this.#sockets.dead(this.nowMs)) {
        this.#closeSocket(socket, close, "found dead");
      }
      this.#dispatch({ kind: "tick" });
      this.#digestChanged();
    });
  }

  #digestChanged(): void {
    if (this.#isDigestDue) return;
    this.#isDigestDue = true;
    this.later(Math.max(0, this.#digestedMs + digestEveryMs - this.nowMs), () => {
      this.#isDigestDue = false;
      this.#digestedMs = this.nowMs;
      const digest = hubDigest(this.#state, this.#sockets.bySessionId.size, this.nowMs);
      const life = this.#life;
      this.#world.publish(digest, (advice) => {
        if (life === this.#life && advice === "move" && !digest.isMoving) this.drain(null);
      });
    });
  }

  #dispatch(event: HubEvent): void {
    const { random, trace, options } = this.#world;
    const before = this.#checks.before(event);
    if (options.mutant === "credit-forged") {
      for (const session of this.#state.sessions.values()) session.credits += 1;
    }
    if (options.mutant === "continued-too-early") cutDelivered(this.#state);
    const effects = stepHub(this.#state, event, this.nowMs, random.next);
    trace.note(this.id, `${describeEvent(event)} → ${effects.map(describeEffect).join(", ")}`);
    this.#checks.after(event, effects, before);
    for (const effect of effects) this.#perform(effect);
    if (!this.#isTicking && this.#state.tasks.size > 0) this.#tick();
    const isRelisted = effects.some(({ kind }) => kind === "listed");
    const isQuiet =
      (event.kind === "tick" && !isRelisted) ||
      event.kind === "consumer.reads" ||
      event.kind === "consumer.gone";
    if (!isQuiet) this.#digestChanged();
  }

  #tick(): void {
    this.#isTicking = this.#state.tasks.size > 0;
    if (!this.#isTicking) return;
    this.later(tickMs, () => {
      this.#dispatch({ kind: "tick" });
      this.#answers.keepAlive(this.nowMs);
      this.#tick();
    });
  }

  #perform(effect: HubEffect): void {
    switch (effect.kind) {
      case "send": {
        const socket = this.#sockets.bySessionId.get(effect.sessionId);
        if (socket !== undefined) this.#sockets.send(socket, effect.frame);
        return;
      }
      case "close":
        return this.#close(effect.sessionId, effect.close, effect.reason);
      case "started":
        return this.#answers.start(effect.attempt);
      case "deliver":
        return this.#answers.deliver(effect.taskId, effect.parts, this.nowMs);
      case "ended":
        if (this.#world.options.mutant === "task-forgotten" && this.#world.random.chance(0.1))
          return;
        this.#answers.end(effect.ending, this.nowMs);
        return this.#settler.settle(effect.ending);
      case "listed": {
        const { modelsByAttempt: _, measuredMs: __, facts: ___, ...plain } = effect.session;
        const { listings, vetting } = plain;
        const claims = [...listings, ...vetting.claims.map(({ listing }) => listing)];
        const slots = Math.max(0, ...claims.map((listing) => listing.slots));
        this.#stored.set(plain.id, structuredClone({ ...plain, slots }));
        return;
      }
      case "measured":
        return;
      case "unlisted":
        this.#stored.delete(effect.session.id);
        return;
      case "receipts.submitted":
        return this.#takeReceipts(effect);
    }
  }

  #takeReceipts(effect: Extract<HubEffect, { kind: "receipts.submitted" }>): void {
    const session = this.#state.sessions.get(effect.sessionId);
    if (session === undefined) return;
    const { workerId, accountId } = session;
    const hub = { workerId, accountId, hubStartedMs: this.#startedMs };
    for (const { ticket, signed } of effect.frame.entries) {
      const terms = openTerms(ticket);
      const { receipt } = signed;
      if (terms !== null && isPayable(receipt, terms, hub) && isReceiptSigned(signed)) {
        const from = { session, nowMs: this.nowMs, edgeKey: "edge", edgeSignature: "edge" };
        this.#settler.submit(recoveredClosing(signed, terms, from), signed);
      } else this.acknowledge(session.workerId, [receipt.attempt]);
    }
  }
}

/** Forgets a character of what consumers have: whoever goes on from there says it twice. */
function cutDelivered(state: HubState): void {
  for (const entry of state.waiting) {
    const { delivered } = entry;
    if (delivered === null || delivered.text.length < 2) continue;
    entry.delivered = { ...delivered, text: delivered.text.slice(0, -1) };
  }
}
