import { runInDurableObject } from "cloudflare:test";
import { exports } from "cloudflare:workers";
import { generateSigningKey } from "../../shared/crypto/signing.ts";
import { newId } from "../../shared/ids.ts";
import type { AccountSummary } from "../../edge/billing/account-answers.ts";
import { conservation } from "../../edge/db/ledger/current-books.ts";
import { balanceOf } from "../helpers/ledger-rows.ts";
import { findTask } from "../../edge/db/ledger/tasks.ts";
import { accountObject, hubObject } from "../../edge/objects.ts";
import {
  FakeWorker,
  type FakeWorkerOptions,
  type PeerSocket,
  type Script,
} from "../helpers/fake-worker.ts";
import { until } from "../helpers/until.ts";
import { call, env, newConsumer, openDatabase } from "./routes/edge-client.ts";

/** The hub and the region of every test here: `OCTO_REGION` in vitest.config.ts. */
export const hubId = "weur:0";
export const hub = () => hubObject(env, hubId);

const edge = (exports as unknown as { default: { fetch(request: Request): Promise<Response> } })
  .default;

/** The hub dies as when its machine does: memory and sockets are gone, storage stays. */
export async function crashHub(): Promise<void> {
  const crash = runInDurableObject(hub(), (_, state) => state.abort("the machine went away"));
  await crash.catch(() => "as it should: the call dies with its object");
}

/** Dials in as a worker does, `lastHub` its hub of before; the hub's challenge is on its way. */
export async function dial(
  options: Omit<FakeWorkerOptions, "origin"> = {},
  lastHub: string | null = null,
): Promise<FakeWorker> {
  const url = new URL("https://edge.test/worker");
  if (lastHub !== null) url.searchParams.set("hub", lastHub);
  const request = new Request(url, { headers: { upgrade: "websocket" } });
  const { status, webSocket } = await edge.fetch(request);
  if (webSocket === null) throw new Error(`Cannot dial in: the edge answered ${status}`);
  const worker = await FakeWorker.create(webSocket as unknown as PeerSocket, {
    ...options,
    origin: "https://edge.test",
  });
  webSocket.accept();
  return worker;
}

/** A model of a test's own, so that no other test's workers serve its tasks. */
export function newModel(): string {
  return `test-${newId("lst").slice(4)}`.toLowerCase();
}

/** An account's owner takes a worker on, so that it may earn for the account. */
export async function takeOn(accountId: string, workerId: string): Promise<void> {
  const path = `/api/v1/account/workers/${workerId}?account_id=${accountId}`;
  const { status, text } = await call(`PUT ${path}`, { body: {} });
  if (status !== 200) throw new Error(`Cannot take on ${workerId}: ${text}`);
}

/** A proven worker that is listed and has slots to give; taken on by the account it is for. */
export async function serve(
  model: string,
  options: Omit<FakeWorkerOptions, "origin"> & { readonly slots?: number } = {},
): Promise<FakeWorker> {
  const { slots = 4, key = (await generateSigningKey()).key, ...rest } = options;
  if (rest.account !== undefined) await takeOn(rest.account, key.publicKey);
  const worker = await dial({ ...rest, key, listing: { model, slots, ...rest.listing } });
  await worker.prove();
  worker.publish();
  await worker.first("listing.result");
  worker.grant(slots);
  return worker;
}

/** Waits until consumers are routed to `workers` free workers of the model. */
export async function untilListed(model: string, workers = 1): Promise<void> {
  await until(`${model} has ${workers} workers`, async () => {
    const { status, json } = await call(`GET /v1/models/${model}`);
    const octo = json["octo"] as { workers: number; free_slots: number } | undefined;
    return status === 200 && octo?.workers === workers && octo.free_slots > 0;
  });
}

export interface Consumer {
  readonly accountId: string;
  readonly keyId: string;
  readonly key: string;
}

/** A consumer with ten credits. */
export async function newFunded(micros = 10_000_000): Promise<Consumer> {
  const consumer = await newConsumer();
  const body = { amount_micros: micros };
  await call(`POST /api/v1/accounts/${consumer.accountId}/credits`, { body });
  return consumer;
}

export interface ChatOptions {
  readonly stream?: boolean;
  readonly headers?: Record<string, string>;
  readonly body?: Record<string, unknown>;
  readonly signal?: AbortSignal;
}

/** Asks for a chat completion; the body of the answer is still to be read. */
export function chat(consumer: Consumer, model: string, options: ChatOptions = {}) {
  const body = {
    model,
    messages: [{ role: "user", content: "hi" }],
    max_completion_tokens: 1_000,
    ...(options.stream === undefined ? {} : { stream: options.stream }),
    ...options.body,
  };
  return edge.fetch(
    new Request("https://edge.test/v1/chat/completions", {
      method: "POST",
      body: JSON.stringify(body),
      headers: { authorization: `Bearer ${consumer.key}`, ...options.headers },
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    }),
  );
}

export function summaryOf(consumer: Consumer): Promise<AccountSummary> {
  return accountObject(env, consumer.accountId).summary() as Promise<AccountSummary>;
}

/** Waits until the account holds nothing and has told the ledger everything. */
export function untilSettled(consumer: Consumer): Promise<AccountSummary> {
  return until("the account has settled", async () => {
    const summary = await summaryOf(consumer);
    return summary.held === 0n && summary.outboxEmpty && summary;
  });
}

/** A task with its attempts and receipts, once the ledger in libSQL has it. */
export function storedTask(consumer: Consumer, taskId: string) {
  return until(`the ledger has task ${taskId}`, async () => {
    await using db = openDatabase();
    return findTask(db, { accountId: consumer.accountId, id: taskId });
  });
}

/** What the ledger says an account has to spend. */
export async function ledgerBalance(consumer: Consumer): Promise<bigint> {
  await using db = openDatabase();
  return balanceOf(db, `${consumer.accountId}:available`);
}

/** Zero, or money was made or lost. */
export async function ledgerSum(): Promise<bigint> {
  await using db = openDatabase();
  const books = await conservation(db);
  return books.reduce((sum, { sumMicros }) => sum + sumMicros, 0n);
}

/** Answers every offer with these tokens. */
export function answering(...tokens: readonly string[]): Script {
  return (attempt) => attempt.answer(...tokens);
}

/** Whether the account has ever leased; no task tells of that. */
export function hasLeased(consumer: Consumer): Promise<boolean> {
  return runInDurableObject(accountObject(env, consumer.accountId), (_, { storage }) => {
    return storage.sql.exec("SELECT * FROM leased").toArray().length > 0;
  });
}
