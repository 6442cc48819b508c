import { DurableObject } from "cloudflare:workers";
import { proveWithinMs } from "../../shared/protocol/limits.ts";
import type { HubDigest } from "../directory/digest.ts";
import { regionOfHub } from "../directory/hub-name.ts";
import { configOf, edgeSigningKey, type Env } from "../env.ts";
import type { InferenceTask } from "../inference/task.ts";
import { accountObject } from "../objects.ts";
import { wakeBy } from "../wake-by.ts";
import { Answers, type Resumed, type RunResult } from "./answers/answers.ts";
import { hubConfigOf } from "./hub-config.ts";
import { hubDigest } from "./sessions/hub-digest.ts";
import { changesDigest, createHubState, type HubEvent, type HubState } from "./hub-state.ts";
import { spreadMsFor } from "./sessions/move-workers.ts";
import { type HubParts, performEffect } from "./perform-effect.ts";
import { Presence } from "./sessions/presence.ts";
import { type Prospect, prospectOf } from "./routing/prospect.ts";
import { Settler } from "./settling/settler.ts";
import { stepHub } from "./step-hub.ts";
import { takeDial } from "./sessions/take-dial.ts";
import { takeReturnedReceipts } from "./settling/returned-receipts.ts";
import { WorkerGate } from "./sessions/worker-gate.ts";
import { WorkerSockets } from "./sessions/worker-sockets.ts";

/** Deadlines are seconds long; half a second late is on time. */
const tickMs = 500;
/**
 * Sweeps for dead sockets and repeats the digest, also while nothing else happens: three times
 * within a digest's life (directory-state.ts).
 */
const sweepMs = 15_000;
/** Whoever has not proved itself is looked at as soon as its time is over. */
const strangerSweepMs = proveWithinMs + 1;

/** Up to 256 workers' sockets, and the tasks on them, by the rules of step-hub.ts. */
export class Hub extends DurableObject<Env> {
  readonly #state: HubState;
  readonly #sockets: WorkerSockets;
  readonly #presence: Presence;
  readonly #gate: WorkerGate;
  readonly #answers: Answers;
  readonly #parts: HubParts;
  #ticking = false;

  readonly #acknowledge = (workerId: string, attempts: readonly string[]): void => {
    const socket = this.#sockets.bySessionId(this.#state.sessionIdByWorkerId.get(workerId) ?? "");
    if (socket !== null) {
      this.#sockets.send(socket, { type: "receipt.ack", attempts: [...attempts] });
    }
  };

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const config = configOf(env);
    const limits = hubConfigOf(ctx.id.name, config);
    this.#state = createHubState(limits);
    this.#sockets = new WorkerSockets(ctx, limits.id, limits.network);
    this.#presence = new Presence(ctx, env, {
      id: limits.id,
      region: regionOfHub(limits.id),
      digest: () => this.digest(),
      move: () => this.drain(null),
    });
    this.#gate = new WorkerGate({
      env,
      state: this.#state,
      sockets: this.#sockets,
      presence: this.#presence,
      dispatch: (event) => this.#dispatch(event),
    });
    this.#answers = new Answers(limits.id, {
      gone: (taskId) => this.#dispatch({ kind: "consumer.gone", taskId }),
      read: (taskId) => this.#dispatch({ kind: "consumer.reads", taskId }),
      keeping: () => this.#presence.digestChanged(Date.now()),
      announced: (taskId) => this.#dispatch({ kind: "consumer.told", taskId }),
    });
    const settler = new Settler({
      close: (accountId, closings) => accountObject(env, accountId).close(closings),
      acknowledge: this.#acknowledge,
      distrust: (sessionId, reason) => this.#gate.close(sessionId, "malformed", reason),
      edgeKey: () => edgeSigningKey(config),
    });
    const returned = { config, startedMs: Date.now(), settler, acknowledge: this.#acknowledge };
    this.#parts = {
      sockets: this.#sockets,
      answers: this.#answers,
      presence: this.#presence,
      settler,
      close: (sessionId, name, reason) => this.#gate.close(sessionId, name, reason),
      takeReceipts: ({ frame, sessionId }) => {
        const session = this.#state.sessions.get(sessionId);
        if (session) ctx.waitUntil(takeReturnedReceipts(frame, session, returned));
      },
    };
    for (const session of this.#presence.restore((id) => this.#sockets.bySessionId(id) !== null)) {
      this.#dispatch({ kind: "session.restored", session });
    }
    this.#gate.closeForgotten();
  }

  /** The WebSocket upgrade of a worker. */
  override async fetch(request: Request): Promise<Response> {
    const nowMs = Date.now();
    const answer = takeDial(request, { state: this.#state, sockets: this.#sockets }, nowMs);
    if (answer.status === 101) await wakeBy(this.ctx.storage, nowMs + strangerSweepMs);
    return answer;
  }

  /** Runs one task: returns once its answer begins (streamed), is complete, or cannot be had. */
  run(task: InferenceTask): Promise<RunResult> {
    const result = this.#answers.open(task, Date.now());
    this.#dispatch({ kind: "task.submitted", task });
    return result;
  }

  /** What would become of a task that came now. Only reads. */
  explain(task: InferenceTask): Prospect {
    return prospectOf(this.#state, task, { nowMs: Date.now(), random: Math.random });
  }

  /** The consumer of a task that is not streamed hung up. */
  cancel(taskId: string): void {
    this.#dispatch({ kind: "consumer.gone", taskId });
  }

  resume(of: Parameters<Answers["resume"]>[0]): Resumed | null {
    return this.#answers.resume(of, Date.now());
  }

  /** What its directory is to know; a directory that lost its memory asks for it. */
  digest(): HubDigest {
    return hubDigest(this.#state, this.#sockets.count, Date.now());
  }

  /** Being called is all it takes: the constructor finds out who has left. */
  wake(): void {
    this.#presence.digestChanged(Date.now());
  }

  /** Sends all workers elsewhere: the idle at once, the busy after their answers or `withinMs`. */
  drain(withinMs: number | null): number {
    const workers = this.#state.sessions.size;
    const busyUntilMs = withinMs === null ? null : Date.now() + withinMs;
    this.#dispatch({ kind: "hub.moves", moving: { spreadMs: spreadMsFor(workers), busyUntilMs } });
    return workers;
  }

  /** An account has let a worker go: its session ends. */
  dismiss(workerId: string, accountId: string): void {
    this.#gate.dismiss(workerId, accountId);
  }

  override webSocketMessage(ws: WebSocket, data: string | ArrayBuffer): void | Promise<void> {
    return this.#gate.take(ws, data);
  }

  override webSocketClose(ws: WebSocket, code: number, reason: string): void {
    this.#gate.lost(ws, `closed ${code} ${reason}`.trim());
  }

  override webSocketError(ws: WebSocket): void {
    this.#gate.lost(ws, "socket error");
  }

  override async alarm(): Promise<void> {
    const nowMs = Date.now();
    // Re-armed first: whatever fails below, the next sweep comes.
    if (this.#sockets.count > 0) {
      const inMs = this.#sockets.hasStrangers ? strangerSweepMs : sweepMs;
      await wakeBy(this.ctx.storage, nowMs + inMs);
    }
    this.#gate.sweep(nowMs);
    // Claims that failed their probes may be due for another chance.
    this.#dispatch({ kind: "tick" });
    this.#presence.digestChanged(nowMs);
  }

  #dispatch(event: HubEvent): void {
    const nowMs = Date.now();
    const effects = stepHub(this.#state, event, nowMs, Math.random);
    for (const effect of effects) performEffect(this.#parts, effect, nowMs);
    this.#answers.flushSoon();
    if (!this.#ticking && this.#state.tasks.size > 0) this.ctx.waitUntil(this.#tick());
    const isRelisted = event.kind === "tick" && effects.some(({ kind }) => kind === "listed");
    if (isRelisted || changesDigest(event)) this.#presence.digestChanged(nowMs);
  }

  async #tick(): Promise<void> {
    this.#ticking = true;
    try {
      while (this.#state.tasks.size > 0) {
        await new Promise((resolve) => setTimeout(resolve, tickMs));
        const unread = this.#answers.unread(Date.now(), this.#state.config.stallMs);
        this.#dispatch({ kind: "tick", unread });
        this.#answers.keepAlive(Date.now());
      }
    } finally {
      this.#ticking = false;
    }
  }
}
