import type { Account } from "../../../edge/db/people/accounts.ts";
import type { createApiKey } from "../../../edge/db/people/api-keys.ts";
import type { NewTransfer } from "../../../edge/db/ledger/ledger.ts";
import type { NewListing } from "../../../edge/db/network/listings.ts";
import type { Attempt, Settlements, StoredReceipt, Task } from "../../../edge/db/ledger/tasks.ts";
import type { WorkerReport } from "../../../edge/db/network/workers.ts";

export function sampleAccount(change: Partial<Account> = {}): Account {
  return {
    id: "acct_alice",
    kind: "consumer",
    name: "Alice",
    status: "active",
    concurrencyMax: 8,
    createdAt: 1_000,
    routing: null,
    limits: null,
    ...change,
  };
}

type NewKey = Parameters<typeof createApiKey>[1];

export function sampleKey(change: Partial<NewKey> = {}): NewKey {
  return {
    id: "k0000001",
    accountId: "acct_alice",
    name: "laptop",
    scopes: ["inference", "read-only"],
    teamId: null,
    projectId: null,
    models: null,
    addresses: null,
    limits: null,
    lastUsedAt: null,
    replaces: null,
    env: "dev",
    secretHash: "5".repeat(64),
    createdAt: 2_000,
    expiresAt: null,
    ...change,
  };
}

export function sampleListing(change: Partial<NewListing> = {}): NewListing {
  return {
    model: "tiny-llama",
    digest: "a".repeat(64),
    engine: "llama.cpp",
    architecture: "llama",
    quantization: "Q4_K_M",
    identity: "content",
    bits_per_weight: null,
    speed: null,
    parameter_count: 1_100_000_000,
    context_tokens: 4096,
    abilities: ["tools", "json"],
    slots: 2,
    input_micros_per_million: 100,
    output_micros_per_million: 200,
    class_ceiling: "shared",
    ...change,
  };
}

export function sampleReport(change: Partial<WorkerReport> = {}): WorkerReport {
  return {
    id: "worker-one",
    accountId: "acct_paul",
    region: "weur",
    agentVersion: "0.1.0",
    hub: "weur:0",
    sessionEpoch: 1,
    atMs: 5_000,
    listings: [sampleListing()],
    ...change,
  };
}

export function sampleTask(change: Partial<Task> = {}): Task {
  return {
    id: "tsk_one",
    accountId: "acct_alice",
    keyId: "k0000001",
    kind: "chat",
    model: "tiny-llama",
    digest: "a".repeat(64),
    region: "weur",
    strategy: "balanced",
    class: "public",
    streamed: true,
    attempts: 1,
    state: "settled",
    finish: "stop",
    promptTokens: 12,
    completionTokens: 34,
    holdMicros: 5_000n,
    costMicros: 4_000n,
    errorCode: null,
    mode: "realtime",
    tariff: null,
    teamId: null,
    projectId: null,
    route: JSON.stringify({ chosen: "worker-one", why: "cheapest" }),
    createdAt: 10_000,
    firstTokenAt: 10_200,
    endedAt: 11_000,
    ...change,
  };
}

export function sampleAttempt(change: Partial<Attempt> = {}): Attempt {
  return {
    taskId: "tsk_one",
    number: 1,
    workerId: "worker-one",
    outcome: "complete",
    startedAt: 10_050,
    firstTokenAt: 10_200,
    endedAt: 11_000,
    tokens: 34,
    bytesIn: 12,
    bytesOut: 140,
    ...change,
  };
}

export function sampleTransfer(change: Partial<NewTransfer> = {}): NewTransfer {
  return {
    id: "tsk_one.provider",
    taskId: "tsk_one",
    kind: "settle",
    debitAccount: "acct_alice:available",
    creditAccount: "acct_paul:earned",
    amountMicros: 4_000n,
    createdAt: 11_000,
    ...change,
  };
}

export function sampleReceipt(change: Partial<StoredReceipt> = {}): StoredReceipt {
  return {
    taskId: "tsk_one",
    attempt: 1,
    workerId: "worker-one",
    body: '{"attempt":"tsk_one.1","v":1}',
    workerSignature: "worker-signature",
    edgeSignature: "edge-signature",
    edgeKey: "edge-key",
    createdAt: 11_000,
    ...change,
  };
}

/** Everything one settled task leaves behind. */
export function sampleSettlements(id: string, change: Partial<Task> = {}): Settlements {
  return {
    tasks: [sampleTask({ id, ...change })],
    attempts: [sampleAttempt({ taskId: id })],
    transfers: [sampleTransfer({ id: `${id}.provider`, taskId: id })],
    receipts: [sampleReceipt({ taskId: id })],
  };
}

/** Joins batches into one, as an outbox does. */
export function joinSettlements(batches: readonly Settlements[]): Settlements {
  return {
    tasks: batches.flatMap((batch) => batch.tasks),
    attempts: batches.flatMap((batch) => batch.attempts),
    transfers: batches.flatMap((batch) => batch.transfers),
    receipts: batches.flatMap((batch) => batch.receipts),
  };
}
