import type { HubEffect, HubEvent, HubState, Session } from "../../../edge/hub/hub-state.ts";
import { slotsMax } from "../../../shared/protocol/limits.ts";
import { partBytes } from "../../../shared/protocol/receipt.ts";
import type { UpFrame } from "../../../shared/protocol/frames.ts";
import { hold } from "../truth.ts";
import type { World } from "../world.ts";

/** What is true just before an event and what is needed to judge its effects. */
export interface Before {
  /** False for a frame that must have no effect (H3, I6). */
  readonly mayAct: boolean;
}

type AttemptFrame = Extract<UpFrame, { attempt: string }>;

/**
 * Judges one instance of a hub after every event: H1 to H6 of edge/hub/hub-state.ts, by bookkeeping
 * of its own.
 */
export class HubChecks {
  readonly #world: World;
  readonly #state: HubState;
  readonly #ended = new Set<string>();
  /** Slots granted and offers made, by session. */
  readonly #slots = new Map<string, { granted: number; offered: number }>();

  constructor(world: World, state: HubState) {
    this.#world = world;
    this.#state = state;
  }

  before(event: HubEvent): Before {
    if (event.kind !== "frame") return { mayAct: true };
    const { frame, sessionId } = event;
    const session = this.#state.sessions.get(sessionId);
    if (session === undefined) return { mayAct: false };
    if (frame.type === "credit.grant") {
      const slots = this.#slotsOf(sessionId);
      slots.granted = Math.min(slots.granted + frame.slots, slots.offered + slotsMax);
    }
    return { mayAct: !("attempt" in frame) || this.#isDue(session, frame) };
  }

  /** Whether a frame is its open attempt's next one, on its own session. */
  #isDue(session: Session, frame: AttemptFrame): boolean {
    const attempt = this.#state.attempts.get(frame.attempt);
    if (attempt === undefined || attempt.session.id !== session.id) return false;
    if (this.#world.options.mutant === "sequence-ignored" && "seq" in frame) {
      const isDue = frame.seq === attempt.seqNext;
      attempt.seqNext = frame.seq;
      return isDue;
    }
    if (!("seq" in frame)) return true;
    if (frame.seq !== attempt.seqNext) return false;
    this.#noteOutput(frame);
    return true;
  }

  #noteOutput(frame: AttemptFrame): void {
    const { truth } = this.#world;
    if (frame.type !== "task.delta" && frame.type !== "task.end") return;
    const bytes = frame.parts.reduce((sum, part) => sum + partBytes(part), 0);
    truth.bytesByAttempt.set(frame.attempt, (truth.bytesByAttempt.get(frame.attempt) ?? 0) + bytes);
    if (frame.type === "task.end")
      truth.claimedByAttempt.set(frame.attempt, frame.usage.completion);
  }

  after(event: HubEvent, effects: readonly HubEffect[], before: Before): void {
    if (!before.mayAct) {
      hold(effects.length === 0, "H3 I6", () => `${JSON.stringify(event)} had an effect`);
    }
    for (const effect of effects) this.#judge(effect);
    if (event.kind === "session.restored") {
      this.#slotsOf(event.session.id).granted += event.session.credits;
    }
    this.#checkPlaces();
    this.#checkCredits();
    this.#checkBounds();
  }

  #judge(effect: HubEffect): void {
    const { truth } = this.#world;
    if (effect.kind === "send" && effect.frame.type === "task.offer") {
      const { attempt } = effect.frame;
      const other = truth.sessionByAttempt.get(attempt);
      hold(other === undefined, "I6", () => `${attempt} was offered to ${other} before`);
      truth.sessionByAttempt.set(attempt, effect.sessionId);
      this.#checkOwn(attempt, this.#state.sessions.get(effect.sessionId));
      this.#slotsOf(effect.sessionId).offered += 1;
    }
    if (effect.kind !== "ended") return;
    const { ending } = effect;
    const { task } = ending.entry;
    hold(!this.#ended.has(task.id), "H1", () => `${task.id} ended twice`);
    this.#ended.add(task.id);
    if (ending.kind === "failed") return;
    const { id } = ending.attempt;
    let tokens = 0;
    for (const { attempt, counts } of ending.shares) {
      const made = counts.completionTokens;
      tokens += made;
      const bytes = truth.bytesByAttempt.get(attempt.id) ?? 0;
      hold(made <= bytes, "H5 I8", () => `${made} tokens of ${attempt.id} for ${bytes} bytes`);
      const claimed = truth.claimedByAttempt.get(attempt.id) ?? Number.POSITIVE_INFINITY;
      hold(made <= claimed, "H5", () => `${made} tokens of ${attempt.id}, ${claimed} claimed`);
    }
    const all = ending.counts.completionTokens;
    hold(tokens === all, "H5", () => `${tokens} tokens of ${id} in shares, ${all} in all`);
    const agreed = task.completionTokensMax ?? Number.POSITIVE_INFINITY;
    hold(tokens <= agreed, "H5", () => `${tokens} tokens of ${id} billed, ${agreed} agreed`);
    const prompt = ending.counts.promptTokens;
    hold(prompt <= task.promptTokensMax, "H5", () => `${prompt} prompt tokens of ${id} billed`);
  }

  /** A6: what only own workers may answer is offered to no other, first or later. */
  #checkOwn(attempt: string, session: Session | undefined): void {
    const [taskId = ""] = attempt.split(".");
    const owner = this.#world.truth.ownTasks.get(taskId);
    if (owner === undefined) return;
    this.#world.truth.count("offers to own workers alone");
    const { accountId } = session ?? { accountId: "nobody" };
    hold(accountId === owner, "A6", () => `${attempt} of ${owner} is offered to ${accountId}`);
  }

  /** H1: a task waits, or is on one attempt, and every attempt and place belongs to a task. */
  #checkPlaces(): void {
    const { tasks, waiting, attempts, sessions } = this.#state;
    const places = new Set(waiting);
    hold(places.size === waiting.length, "H1", () => "a task waits twice");
    for (const entry of tasks.values()) {
      const { id } = entry.task;
      const count = Number(places.has(entry)) + Number(entry.attempt !== null);
      const { rival } = entry;
      const isRacing = rival === null || (attempts.get(rival.id) === rival && !entry.started);
      hold(isRacing, "H1 R1", () => `${rival?.id} races though it is over`);
      hold(count === 1, "H1", () => `${id} is in ${count} places`);
      const attempt = entry.attempt;
      if (attempt === null) continue;
      hold(attempts.get(attempt.id) === attempt, "H1", () => `${attempt.id} is not open`);
      const { session } = attempt;
      const isOwned =
        sessions.get(session.id) === session && session.modelsByAttempt.has(attempt.id);
      hold(isOwned, "H1", () => `${attempt.id} is on a session that does not have it`);
    }
    for (const entry of waiting) {
      hold(
        tasks.get(entry.task.id) === entry,
        "H1",
        () => `${entry.task.id} waits though it ended`,
      );
      const mayWait = !entry.started || entry.delivered !== null;
      hold(mayWait, "H4", () => `${entry.task.id} waits for a second worker after output`);
    }
    for (const attempt of attempts.values()) {
      const { entry } = attempt;
      const isOfTask = entry.attempt === attempt || entry.rival === attempt;
      hold(isOfTask, "H1", () => `${attempt.id} is no attempt of its task`);
    }
  }

  /** H2, and for honest workers: what the hub may still offer is never more than they have free. */
  #checkCredits(): void {
    for (const session of this.#state.sessions.values()) {
      const { granted, offered } = this.#slotsOf(session.id);
      hold(offered <= granted, "H2", () => `${session.id}: ${offered} offers, ${granted} slots`);
      const { credits } = session;
      hold(
        credits >= 0 && credits <= granted - offered,
        "H2",
        () => `${session.id} has ${credits} credits of ${granted} granted, ${offered} used`,
      );
      const free = this.#world.freeSlots(session.workerId, session.id);
      if (free === null) continue;
      hold(credits <= free, "H2", () => `${session.id}: ${credits} credits, ${free} slots free`);
    }
  }

  /** H6 */
  #checkBounds(): void {
    const { config, sessions, tasks, waiting, attempts } = this.#state;
    hold(sessions.size <= config.sessionsMax, "H6", () => `${sessions.size} sessions`);
    const bodies = [...tasks.values()].filter(({ probe }) => probe === null);
    const chars = bodies.reduce((sum, { task }) => sum + task.body.length, 0);
    hold(chars === this.#state.bodiesChars, "H6", () => `${chars} characters of bodies`);
    hold(chars <= config.bodiesCharsMax, "H6", () => `${chars} characters of bodies`);
    hold(waiting.length <= config.queueMax, "H6", () => `${waiting.length} tasks wait`);
    for (const { id, transcript, grantedBytes } of attempts.values()) {
      const most = Math.min(config.outputBytesMax, grantedBytes);
      hold(transcript.bytes <= most, "H6 I14", () => `${id}: ${transcript.bytes} of ${most} bytes`);
    }
  }

  #slotsOf(sessionId: string): { granted: number; offered: number } {
    const known = this.#slots.get(sessionId);
    if (known !== undefined) return known;
    const fresh = { granted: 0, offered: 0 };
    this.#slots.set(sessionId, fresh);
    return fresh;
  }
}
