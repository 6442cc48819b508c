import type { TaskRecord } from "../../../edge/billing/closing.ts";
import { defaultHubConfig, type HubConfig } from "../../../edge/hub/hub-config.ts";
import {
  createHubState,
  type HubEffect,
  type HubEvent,
  type HubState,
  recordOf,
  type TaskEnding,
} from "../../../edge/hub/hub-state.ts";
import { stepHub } from "../../../edge/hub/step-hub.ts";
import type { InferenceTask } from "../../../edge/inference/task.ts";
import { defaultSplit } from "../../../shared/money.ts";
import { defaultRouting } from "../../../shared/openai/routing.ts";
import type { DownFrame, UpFrame } from "../../../shared/protocol/frames.ts";
import type { Listing } from "../../../shared/protocol/listing.ts";
import type { TaskEnd } from "../../../shared/protocol/task.ts";
import { protocolVersion } from "../../../shared/protocol/limits.ts";

export const digest = "d".repeat(64);

export function listing(changes: Partial<Listing> = {}): Listing {
  return {
    model: "m",
    digest,
    engine: "llama.cpp",
    architecture: "llama",
    quantization: "Q8_0",
    identity: "content",
    bits_per_weight: null,
    speed: null,
    parameter_count: 1,
    context_tokens: 1_000,
    abilities: ["chat"],
    slots: 2,
    input_micros_per_million: 100,
    output_micros_per_million: 200,
    class_ceiling: "public",
    ...changes,
  };
}

/** `tsk_` and 22 characters that begin with `name`. */
export function taskId(name: string): string {
  return `tsk_${name.padEnd(22, "0")}`;
}

export function task(name: string, changes: Partial<InferenceTask> = {}): InferenceTask {
  const id = taskId(name);
  return {
    id,
    kind: "chat",
    accountId: "acct_consumer",
    keyId: "key_1",
    model: "m",
    body: "{}",
    streamed: true,
    usageChunk: false,
    choices: 1,
    demands: ["chat"],
    promptTokensMax: 50,
    completionTokensMax: 100,
    result: null,
    weights: { bitsMin: null, byContent: false },
    routing: defaultRouting,
    class: "public",
    mode: "realtime",
    hedge: false,
    resume: false,
    region: "weur",
    createdMs: 0,
    attemptsBefore: 0,
    earlierAttempts: [],
    terms: {
      v: 1,
      task: id,
      account: "acct_consumer",
      key: "key_1",
      kind: "chat",
      model: "m",
      region: "weur",
      streamed: true,
      limit: "1000000",
      input_micros_per_million: 1_000,
      output_micros_per_million: 1_000,
      split: defaultSplit,
      created_ms: 0,
      expires_ms: 900_000,
    },
    ticket: `ticket of ${name}`,
    ...changes,
  };
}

/** One hub with a clock of its own. `send` is a worker speaking; every call gives what followed. */
export class HubScene {
  readonly state: HubState;
  nowMs = 0;
  /** Chance in [0, 1): the same until it is set. */
  random = () => 0;

  constructor(config: Partial<HubConfig> = {}) {
    this.state = createHubState({
      ...defaultHubConfig,
      id: "weur:0",
      network: "public",
      // Workers of most tests answer only what the test asks them.
      preflight: false,
      ...config,
    });
  }

  step(event: HubEvent): HubEffect[] {
    const effects = stepHub(this.state, event, this.nowMs, this.random);
    // As the hub does: a socket that is closed is a session that is gone.
    for (const effect of effects) {
      if (effect.kind !== "close") continue;
      const { sessionId, close } = effect;
      effects.push(...this.step({ kind: "session.closed", sessionId, reason: close }));
    }
    return effects;
  }

  /** A worker that is listed and has granted `slots`. */
  join(
    name: string,
    options: { readonly listings?: Listing[]; readonly slots?: number } = {},
  ): void {
    const { listings = [listing()], slots = 2 } = options;
    this.open(name);
    this.send(name, { type: "listing.publish", revision: 1, listings });
    if (slots > 0) this.send(name, { type: "credit.grant", slots });
  }

  /** A session of `worker`, called `name` where it is not the worker's first. */
  open(
    name: string,
    worker = name,
    epoch = this.nowMs,
    version: number = protocolVersion,
  ): HubEffect[] {
    return this.step({
      kind: "session.opened",
      sessionId: name,
      workerId: `worker ${worker}`,
      accountId: `acct_${worker}`,
      region: "weur",
      version,
      epoch,
    });
  }

  send(name: string, frame: UpFrame): HubEffect[] {
    return this.step({ kind: "frame", sessionId: name, frame });
  }

  submit(of: InferenceTask): HubEffect[] {
    return this.step({ kind: "task.submitted", task: of });
  }

  tick(atMs: number): HubEffect[] {
    this.nowMs = atMs;
    return this.step({ kind: "tick" });
  }

  delta(name: string, attempt: string, seq: number, text: string): HubEffect[] {
    const parts = [{ index: 0, tokens: 1, text }];
    return this.send(name, { type: "task.delta", attempt, seq, parts });
  }

  end(name: string, attempt: string, seq: number, changes: Partial<TaskEnd> = {}): HubEffect[] {
    return this.send(name, { ...endFrame(name, attempt, seq, changes), ...changes });
  }
}

/** A whole answer's end, with a receipt that fits the frame. */
export function endFrame(
  name: string,
  attempt: string,
  seq: number,
  changes: Partial<TaskEnd> = {},
): TaskEnd {
  const { usage = { prompt: 5, completion: 2, cached: 0 }, outcome = "complete" } = changes;
  return {
    type: "task.end",
    attempt,
    seq,
    parts: [],
    outcome,
    finishes: outcome === "complete" ? [{ index: 0, reason: "stop" }] : [],
    usage,
    receipt: {
      receipt: {
        v: 1,
        attempt,
        worker: `worker ${name}`,
        model: digest,
        prompt_hash: digest,
        output_hash: digest,
        outcome,
        prompt_tokens: usage.prompt,
        completion_tokens: usage.completion,
        input_micros_per_million: 100,
        output_micros_per_million: 200,
        started_ms: 0,
        first_token_ms: 0,
        ended_ms: 0,
      },
      signature: "s".repeat(86),
    },
  };
}

/** The frames of one type among effects, in order. */
export function framesOf<Type extends DownFrame["type"]>(
  effects: readonly HubEffect[],
  type: Type,
): Extract<DownFrame, { type: Type }>[] {
  return effects.flatMap((effect) =>
    effect.kind === "send" && effect.frame.type === type
      ? [effect.frame as Extract<DownFrame, { type: Type }>]
      : [],
  );
}

/** Who was offered which attempt. */
export function offersOf(effects: readonly HubEffect[]): string[] {
  return effects.flatMap((effect) =>
    effect.kind === "send" && effect.frame.type === "task.offer"
      ? [`${effect.sessionId} ${effect.frame.attempt.slice(-2)}`]
      : [],
  );
}

export function endingsOf(effects: readonly HubEffect[]): TaskEnding[] {
  return effects.flatMap((effect) => (effect.kind === "ended" ? [effect.ending] : []));
}

/** The kind of the only ending, or its code where it failed. */
export function howEnded(effects: readonly HubEffect[]): string {
  return endingsOf(effects)
    .map((ending) => (ending.kind === "failed" ? ending.code : ending.kind))
    .join(", ");
}

/** How the only ended task is remembered. */
export function recordIn(effects: readonly HubEffect[]): TaskRecord | null {
  const ending = endingsOf(effects)[0];
  return ending === undefined ? null : recordOf(ending, null);
}

export function closesOf(effects: readonly HubEffect[]): string[] {
  return effects.flatMap((effect) =>
    effect.kind === "close" ? [`${effect.sessionId} ${effect.close}: ${effect.reason}`] : [],
  );
}
