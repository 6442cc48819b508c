import type { AgentStatus, ModelStatus } from "../../../worker-agent/state/status-file.ts";

export const sampleModel: ModelStatus = {
  name: "llama",
  engine: "llama.cpp",
  context_tokens: 4096,
  quantization: "Q8_0",
  slots: 4,
  running: 1,
  waiting: 0,
  listed: true,
  not_listed: null,
  struck: [],
  health: "ready",
  loaded: true,
  memory_bytes: 1_000,
  tokens_per_s: 41.25,
  declared_speed: null,
  tasks: { complete: 7, cancelled: 1, failed: 2 },
};

/** A worker that has served for an hour, three hours after noon. */
export const sampleNowMs = Date.UTC(2026, 0, 1, 15);

export const sampleStatus: AgentStatus = {
  v: 2,
  version: "0.1.0",
  pid: 42,
  worker: "A".repeat(43),
  edge: "https://edge.example",
  connection: "serving",
  region: "weur",
  hub: "weur:0",
  account: "acct_1",
  connected_ms: sampleNowMs - 3_600_000,
  connections: [],
  draining: false,
  availability: { kind: "open", since_ms: sampleNowMs - 3_600_000 },
  no_work: null,
  models: [sampleModel],
  unserved: [],
  tasks: { complete: 7, cancelled: 1, failed: 2 },
  prompt_tokens: 1_234,
  completion_tokens: 567,
  tokens_per_s: 41.25,
  today: {
    date: "2026-01-01",
    tasks: { complete: 9, cancelled: 1, failed: 2 },
    prompt_tokens: 12_345,
    completion_tokens: 6_789,
    gross_micros: 65_400,
  },
  pending_receipts: 3,
  rss_bytes: 200 * 2 ** 20,
  started_ms: sampleNowMs - 7_200_000,
  updated_ms: sampleNowMs,
};
