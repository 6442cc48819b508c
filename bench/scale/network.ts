import { defaultRouting } from "../../shared/openai/routing.ts";
import type { HubDigest } from "../../edge/directory/digest.ts";
import { defaultHubConfig } from "../../edge/hub/hub-config.ts";
import { hubDigest } from "../../edge/hub/sessions/hub-digest.ts";
import { createHubState, type HubState } from "../../edge/hub/hub-state.ts";
import { stepHub } from "../../edge/hub/step-hub.ts";
import type { InferenceTask } from "../../edge/inference/task.ts";
import { defaultSplit } from "../../shared/money.ts";
import type { Listing } from "../../shared/protocol/listing.ts";

/** A network of 400 hubs of 250 workers: 100,000. */
export const scaleHubs = 400;
const workersPerHub = 250;
const models = 20;
const modelsPerWorker = 2;

/** A listing as workers with one graphics card have it. */
export function scaleListing(number: number): Listing {
  return {
    model: `model-${number}-8b-instruct`,
    digest: String(number).padStart(64, "0"),
    engine: "llama.cpp",
    architecture: "llama",
    quantization: "Q4_K_M",
    identity: "content",
    bits_per_weight: 4.83,
    speed: null,
    parameter_count: 8_030_000_000,
    context_tokens: 8_192,
    abilities: ["chat", "completion", "tools", "json_schema", "logprobs", "choices"],
    slots: 4,
    input_micros_per_million: 100_000 + 1_000 * number,
    output_micros_per_million: 400_000 + 1_000 * number,
    class_ceiling: "public",
  };
}

/** A hub as its own rules make it: workers that came, listed two of twenty models, gave credits. */
export function fullHub(shard: number, random: () => number): HubState {
  const state = createHubState({
    ...defaultHubConfig,
    id: `weur:${shard}`,
    network: "public",
    preflight: false,
  });
  for (let number = 0; number < workersPerHub; number++) {
    const sessionId = `s${number}`;
    const workerId = `${shard}-${number}`.padStart(43, "w");
    const identity = { sessionId, workerId, accountId: "acct_0000000000000000000000" };
    const opened = { ...identity, region: "weur", version: 2, epoch: 1 } as const;
    stepHub(state, { kind: "session.opened", ...opened }, 0, random);
    const first = Math.floor(random() * models);
    const listings = Array.from({ length: modelsPerWorker }, (_, more) => ({
      ...scaleListing((first + 7 * more) % models),
      input_micros_per_million: 50_000 + Math.floor(random() * 100_000),
    }));
    const publish = { type: "listing.publish", revision: 1, listings } as const;
    stepHub(state, { kind: "frame", sessionId, frame: publish }, 0, random);
    const slots = Math.floor(random() * 5);
    if (slots === 0) continue;
    const grant = { type: "credit.grant", slots } as const;
    stepHub(state, { kind: "frame", sessionId, frame: grant }, 0, random);
  }
  return state;
}

export function digestOfHub(state: HubState): HubDigest {
  return hubDigest(state, state.sessions.size, Date.now());
}

/** A task for one of the models. */
export function scaleTask(model: string): InferenceTask {
  const id = "tsk_0000000000000000000000";
  return {
    id,
    kind: "chat",
    accountId: "acct_0000000000000000000000",
    keyId: "aaaaaaaa",
    model,
    body: "{}",
    streamed: true,
    mode: "realtime",
    hedge: false,
    resume: false,
    usageChunk: false,
    choices: 1,
    demands: ["chat", "tools"],
    promptTokensMax: 1_000,
    completionTokensMax: 500,
    result: null,
    weights: { bitsMin: null, byContent: false },
    class: "public",
    routing: defaultRouting,
    region: "weur",
    createdMs: 0,
    attemptsBefore: 0,
    earlierAttempts: [],
    terms: {
      v: 1,
      task: id,
      account: "acct_0000000000000000000000",
      key: "aaaaaaaa",
      kind: "chat",
      model,
      region: "weur",
      streamed: true,
      limit: "1000000",
      input_micros_per_million: 1_000_000,
      output_micros_per_million: 1_000_000,
      split: defaultSplit,
      created_ms: 0,
      expires_ms: 900_000,
    },
    ticket: "",
  };
}
