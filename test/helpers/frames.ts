import type { DownFrame, UpFrame } from "../../shared/protocol/frames.ts";
import type { Receipt } from "../../shared/protocol/receipt.ts";

/** One frame of every kind: a kind without a sample does not compile. */
type Samples<Frame extends { type: string }> = {
  readonly [Type in Frame["type"]]: Extract<Frame, { type: Type }>;
};

const attempt = "tsk_0123456789ABCDEFGHIJkl.1";
const hash = "0f".repeat(32);
const signature = "A".repeat(86);

export const sampleReceipt: Receipt = {
  v: 1,
  attempt,
  worker: "A".repeat(43),
  model: hash,
  prompt_hash: hash,
  output_hash: "ab".repeat(32),
  outcome: "complete",
  prompt_tokens: 12,
  completion_tokens: 34,
  input_micros_per_million: 150_000,
  output_micros_per_million: 600_000,
  started_ms: 1_700_000_000_000,
  first_token_ms: 1_700_000_000_100,
  ended_ms: 1_700_000_001_000,
};

const signed = { receipt: sampleReceipt, signature };

export const sampleListing = {
  model: "octo-tiny",
  digest: hash,
  engine: "embedded",
  architecture: "llama",
  quantization: "F16",
  identity: "content" as const,
  bits_per_weight: null,
  speed: null,
  parameter_count: 1_000_000,
  context_tokens: 2048,
  abilities: ["chat", "param:top_k"],
  slots: 4,
  input_micros_per_million: 150_000,
  output_micros_per_million: 600_000,
  class_ceiling: "public" as const,
};

export const upFrames: Samples<UpFrame> = {
  "auth.prove": {
    type: "auth.prove",
    version: 1,
    worker: "A".repeat(43),
    agent: "octo-worker/0.1.0",
    account: "acct_0123456789ABCDEFGHIJkl",
    signature,
  },
  "listing.publish": { type: "listing.publish", revision: 1, listings: [sampleListing] },
  "credit.grant": { type: "credit.grant", slots: 4 },
  "worker.drain": { type: "worker.drain" },
  "task.accept": { type: "task.accept", attempt },
  "task.refuse": { type: "task.refuse", attempt, reason: "busy" },
  "task.delta": {
    type: "task.delta",
    attempt,
    seq: 0,
    parts: [
      { index: 0, tokens: 2, text: 'half a "pair" \ud83d', reasoning: "hm" },
      { index: 1, tokens: 1, tool_calls: [{ index: 0, id: "call_1", name: "f", arguments: "{" }] },
      {
        index: 2,
        tokens: 1,
        text: "é",
        logprobs: [{ token: "é", logprob: -0.5, bytes: [195, 169], top_logprobs: [] }],
      },
    ],
  },
  "task.end": {
    type: "task.end",
    attempt,
    seq: 1,
    parts: [{ index: 0, tokens: 1, text: "\ude00" }],
    outcome: "complete",
    finishes: [{ index: 0, reason: "stop" }],
    usage: { prompt: 12, completion: 34, cached: 0 },
    receipt: signed,
  },
  "task.fail": { type: "task.fail", attempt, seq: 0, code: "engine_failed", message: "it fell" },
  "receipt.submit": { type: "receipt.submit", entries: [{ ticket: "sealed", signed }] },
};

export const downFrames: Samples<DownFrame> = {
  "auth.challenge": {
    type: "auth.challenge",
    version: 1,
    floor: 1,
    hub: "weur:0",
    network: "local",
    nonce: "A".repeat(43),
  },
  "auth.welcome": {
    type: "auth.welcome",
    version: 1,
    epoch: 1_700_000_000_000,
    region: "weur",
    account: "acct_0123456789ABCDEFGHIJkl",
    heartbeat_ms: 10_000,
    pace_ms: 25,
  },
  "listing.result": {
    type: "listing.result",
    revision: 1,
    listed: ["octo-tiny"],
    refused: [{ model: "other", reason: "it is listed twice" }],
  },
  "task.offer": {
    type: "task.offer",
    attempt,
    kind: "chat",
    model: "octo-tiny",
    digest: hash,
    body: '{"messages":[]}',
    body_parts: 2,
    window_bytes: 65_536,
    input_micros_per_million: 150_000,
    output_micros_per_million: 600_000,
    ticket: "sealed",
  },
  "task.body": { type: "task.body", attempt, part: 1, text: "…" },
  "task.window": { type: "task.window", attempt, bytes: 32_768 },
  "task.cancel": { type: "task.cancel", attempt, reason: "consumer_gone" },
  "receipt.ack": { type: "receipt.ack", attempts: [attempt] },
};
