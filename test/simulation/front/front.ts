import { limitOf } from "../../../edge/billing/account-state.ts";
import type { TaskClosing } from "../../../edge/billing/closing.ts";
import type { Terms } from "../../../edge/billing/ticket.ts";
import { defaultHubConfig } from "../../../edge/hub/hub-config.ts";
import { chooseHub, type HubChoice } from "../../../edge/inference/placing/choose-hub.ts";
import { engineBody } from "../../../edge/inference/engine-request.ts";
import { patienceMs } from "../../../edge/hub/attempts/queue.ts";
import type { InferenceTask } from "../../../edge/inference/task.ts";
import { boundsOf } from "../../../edge/inference/token-bounds.ts";
import { type ErrorCode, OctoError } from "../../../shared/errors.ts";
import type { TokenCounts } from "../../../shared/money.ts";
import { routingDemands } from "../../../shared/openai/routing.ts";
import { Consumer } from "./consumer.ts";
import type { Isolate } from "../account/isolate.ts";
import type { Request } from "./request.ts";
import { type RunEvent, RunPipe } from "./run-pipe.ts";
import { sealTerms } from "../stubs.ts";
import type { SimulatedAccount } from "../account/simulated-account.ts";
import type { SimulatedHub } from "../hub/simulated-hub.ts";
import type { World } from "../world.ts";

const holdMs = 15 * 60_000;

interface Planned {
  readonly task: InferenceTask;
  readonly terms: Terms;
  readonly hubIds: readonly string[];
  readonly tokensMax: TokenCounts;
}

/** One request on its front Worker: what edge/inference/run-inference.ts does, call by call. */
export class Front {
  readonly consumer: Consumer;
  readonly #world: World;
  readonly #request: Request;
  readonly #account: SimulatedAccount;
  readonly isolate: Isolate;
  #ended: () => void = () => undefined;
  #task: InferenceTask | null = null;
  #turns: Iterator<string> = [].values();
  readonly #lost: string[] = [];
  #failure: ErrorCode = "unavailable";
  #pipe: RunPipe | null = null;
  #hubId = "";
  #hasStream = false;
  #isGone = false;
  #isDead = false;
  #isOver = false;
  #unread: string[] = [];
  #isReading = false;
  #calledMs = 0;

  constructor(world: World, request: Request) {
    this.#world = world;
    this.#request = request;
    this.#account = world.account(request.accountId);
    this.isolate = world.random.pick(world.isolates);
    this.consumer = new Consumer(world, request);
    if (request.hangUpAfterMs !== null) {
      world.schedule.after(request.hangUpAfterMs, () => this.#hangUp());
    }
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  start(): void {
    const plan = this.#plan();
    if (typeof plan === "string") return this.#refuse(plan);
    this.#hold(plan, (code) => {
      if (code === "insufficient_quota") this.#holdOwn(code);
      else this.#refuse(code);
    });
  }

  #hold(plan: Planned, refused: (code: ErrorCode) => void): void {
    const { terms, task, hubIds, tokensMax } = plan;
    this.#turns = lostOnceMore(hubIds, this.#lost);
    this.isolate.setAside(this.#account, terms, {
      tokensMax,
      later: (run) => this.#later(run),
      done: (aside) => {
        if (aside.kind === "refused") return refused(aside.code);
        this.#ended = aside.ended;
        this.#task = { ...task, terms: aside.terms, ticket: sealTerms(aside.terms) };
        this.#dispatch(this.#task);
      },
    });
  }

  /** There is no credit for others: own workers answer for nothing. */
  #holdOwn(code: ErrorCode): void {
    const hubIds = this.#world.ownHubs(this.#account.id, this.#request.model);
    const plan = hubIds.length === 0 ? code : this.#plan(hubIds);
    if (typeof plan === "string") return this.#refuse(code);
    this.#world.truth.ownTasks.set(plan.task.id, this.#account.id);
    this.#world.truth.count("tasks for own workers alone");
    this.#hold(plan, (why) => this.#refuse(why));
  }

  /** The isolate dies: its calls and streams with it, and what it had yet to say is never said. */
  die(): void {
    if (this.#isDead || this.#isOver) return;
    this.#isDead = true;
    this.#leaveHub();
    if (this.consumer.ending === null) this.consumer.end("cut");
    this.#isOver = true;
  }

  #over(): void {
    this.#isOver = true;
    this.#ended();
    this.#ended = () => undefined;
  }

  #later(run: () => void): void {
    const { random, schedule, options } = this.#world;
    schedule.after(random.delayMs(options.delayMs / 4), () => {
      if (!this.#isDead) run();
    });
  }

  /** A plan for anybody's workers, or for own ones on these hubs alone. */
  #plan(ownHubIds: readonly string[] | null = null): Planned | ErrorCode {
    const { random } = this.#world;
    const { id, model, wanted, choices, streamed, usageChunk, mode, hedge } = this.#request;
    const weights = { bitsMin: null, byContent: false };
    const { routing, priceMax } = routingDemands({}, null);
    const query = {
      kind: wanted.kind,
      model,
      demands: wanted.demands,
      class: "public",
      weights,
      routing,
      priceMax,
      region: "weur",
      hubIds: ownHubIds,
    } as const;
    let choice: HubChoice;
    try {
      choice = chooseHub(query, this.#world.view(), random.next);
    } catch (error) {
      if (error instanceof OctoError) return error.code;
      throw error;
    }
    const createdMs = this.isolate.nowMs;
    const tariff = this.#world.tariffs.current;
    const factor = tariff.body.modes[mode];
    const body = engineBody(wanted);
    const bounds = boundsOf(wanted, body, choice);
    const completionTokensMax = bounds.completionTokensMax ?? choice.contextTokens * choices;
    const most = { ...bounds, completionTokensMax };
    const terms: Terms = {
      v: 1,
      task: id,
      account: this.#account.id,
      key: this.#account.keyId,
      kind: "chat",
      model,
      region: "weur",
      streamed,
      mode,
      factor,
      tariff: tariff.hash,
      ...(ownHubIds === null
        ? { limit: limitOf(most, choice.price, factor).toString() }
        : { limit: "0", own: true as const }),
      input_micros_per_million: choice.price.inputMicrosPerMillion,
      output_micros_per_million: choice.price.outputMicrosPerMillion,
      split: tariff.body.split,
      created_ms: createdMs,
      expires_ms: createdMs + holdMs,
    };
    const task: InferenceTask = {
      id,
      kind: "chat",
      accountId: this.#account.id,
      keyId: this.#account.keyId,
      model,
      body,
      streamed,
      usageChunk,
      choices,
      demands: [...wanted.demands.fieldByAbility.keys()],
      ...bounds,
      result: null,
      weights,
      routing,
      class: "public",
      mode,
      hedge,
      resume: false,
      region: "weur",
      createdMs,
      attemptsBefore: 0,
      earlierAttempts: [],
      terms,
      ticket: "",
    };
    const { promptTokensMax: promptTokens } = bounds;
    const tokensMax = { promptTokens, completionTokens: completionTokensMax };
    return { task, terms, hubIds: choice.hubIds, tokensMax };
  }

  /** Asks the next hub, or gives up. */
  #dispatch(task: InferenceTask): void {
    const turn = this.#turns.next();
    if (turn.done === true) return this.#giveUp(task);
    this.#runOn(task, turn.value);
  }

  #runOn(task: InferenceTask, hubId: string): void {
    this.#hubId = hubId;
    const pipe = new RunPipe(this.#world, (event) => this.#hear(event));
    this.#pipe = pipe;
    this.#world.trace.note("front", `${task.id} asks ${hubId}`);
    const { own: _, ...anybodys } = task.terms;
    const isForgotten = this.#world.options.mutant === "own-forgotten";
    const told = isForgotten ? { ...task, terms: anybodys } : task;
    this.#call((hub) => hub.run(told, pipe));
  }

  /**
   * A call to the hub in use. Calls arrive in order, and survive the death of their caller once
   * they are under way.
   */
  #call(run: (hub: SimulatedHub) => void): void {
    const { random, schedule, options } = this.#world;
    const hub = this.#world.hub(this.#hubId);
    this.#calledMs = Math.max(this.#calledMs, schedule.nowMs + random.delayMs(options.delayMs / 4));
    schedule.at(this.#calledMs, () => run(hub));
  }

  #hear(event: RunEvent): void {
    const task = this.#task;
    if (task === null || this.#isDead || this.#isOver) return;
    switch (event.kind) {
      case "failed": {
        this.#failure = event.code;
        if (event.record === null) return this.#refuse(event.code);
        const { attempts: attemptsBefore, record } = event;
        this.#task = { ...task, attemptsBefore, earlierAttempts: record.attempts };
        const { options, schedule } = this.#world;
        const placeByMs = task.createdMs + patienceMs(options.hub, task.mode);
        const isWorthIt = event.code === "no_capacity" && schedule.nowMs < placeByMs;
        if (!isWorthIt || this.#isGone) return this.#giveUp(this.#task);
        return this.#dispatch(this.#task);
      }
      case "whole":
        this.#over();
        if (!this.#isGone) this.consumer.answer(event, task);
        return;
      case "stream":
        this.#hasStream = true;
        if (this.#isGone) return this.#leaveHub();
        return this.consumer.begin(event.source);
      case "chunk":
        this.#unread.push(event.text);
        return this.#readOn();
      case "closed":
        this.#unread.push("");
        return this.#readOn();
      case "lost":
        return this.#lose(task);
    }
  }

  #lose(task: InferenceTask): void {
    if (!this.#hasStream) {
      this.#lost.push(this.#hubId);
      this.#failure = "unavailable";
      const attemptsBefore = task.attemptsBefore + defaultHubConfig.attemptsMax;
      this.#task = { ...task, attemptsBefore };
      return this.#dispatch(this.#task);
    }
    if (this.#isGone) return;
    const { mutant } = this.#world.options;
    if (mutant === "spliced-answer") {
      this.#hasStream = false;
      return this.#runOn({ ...task, attemptsBefore: task.attemptsBefore + 8 }, this.#hubId);
    }
    if (mutant === "truncated-success") this.consumer.read("data: [DONE]\n\n");
    this.#over();
    this.#void(task, "unavailable");
    this.consumer.end(mutant === "truncated-success" ? "answered" : "broken");
  }

  /** The consumer takes all that has come, at its own pace; only then may more come. */
  #readOn(): void {
    if (this.#isReading || this.#request.readMs === null) return;
    this.#isReading = true;
    this.#world.schedule.after(this.#request.readMs, () => {
      this.#isReading = false;
      if (this.#isGone || this.#isDead || this.#isOver) return;
      const texts = this.#unread.splice(0);
      const isClosed = texts.at(-1) === "";
      const text = texts.join("");
      this.consumer.read(text);
      if (isClosed) {
        this.#over();
        return this.consumer.close();
      }
      this.#call((hub) => hub.read(this.#request.id, text.length));
    });
  }

  #hangUp(): void {
    if (this.#isOver || this.#isGone || this.#isDead) return;
    this.#isGone = true;
    this.consumer.end("hung up");
    const taskId = this.#request.id;
    if (this.#hasStream) this.#leaveHub();
    else if (this.#hubId !== "") this.#call((hub) => hub.cancel(taskId));
  }

  /**
   * The stream is cancelled, which its hub hears of; a call without a stream just has no caller any
   * more.
   */
  #leaveHub(): void {
    this.#pipe?.leave();
    if (!this.#hasStream) return;
    this.#over();
    this.#call((hub) => hub.leave(this.#request.id));
  }

  #giveUp(task: InferenceTask): void {
    this.#void(task, this.#failure);
    this.#refuse(this.#failure);
  }

  #refuse(code: ErrorCode): void {
    this.#over();
    if (!this.#isGone) this.consumer.end(`refused: ${code}`);
  }

  /** Closes the books of a task that no hub will settle; tried once. */
  #void(task: InferenceTask, errorCode: ErrorCode): void {
    const closing: TaskClosing = {
      kind: "void",
      terms: task.terms,
      record: {
        digest: null,
        class: "public",
        finish: "failed",
        errorCode,
        route: null,
        firstTokenMs: null,
        endedMs: this.#world.schedule.nowMs,
        attempts: task.earlierAttempts,
        receipt: null,
      },
    };
    this.#account.callClose([closing], () => undefined);
  }
}

/** A hub that was lost is asked once more after the others. */
function* lostOnceMore(hubIds: readonly string[], lost: readonly string[]): Generator<string> {
  yield* hubIds;
  yield* lost.slice(0, 1);
}
