import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import OpenAI, { type ClientOptions } from "openai";
import { z } from "zod";
import { openLocalDatabase } from "../../dev/libsql/open-local.ts";
import { type Network, startNetwork } from "../../dev/network.ts";
import { Operator } from "../../dev/operator.ts";
import { type Consumer, State } from "../../dev/state.ts";
import type { WorkerProcess } from "../../dev/worker-process.ts";
import { conservation } from "../../edge/db/ledger/current-books.ts";
import { modelListSchema } from "../../edge/openapi/openai-answers.ts";
import { taskDetailSchema } from "../../edge/routes/inference/task-schema.ts";
import { networkProcesses } from "./flow-processes.ts";
import { until } from "./until.ts";

export interface FlowOptions {
  /** Every worker serves all of them; the first is what the network was asked for. */
  readonly models: readonly [string, ...string[]];
  readonly workers?: number;
  /** More flags of `octo-worker start`. */
  readonly flags?: readonly string[];
  /** Variables of the edge, say shorter deadlines. */
  readonly vars?: Readonly<Record<string, string>>;
}

const saidSchema = z.object({ message: z.string(), attempt: z.string().optional() });
type Said = z.infer<typeof saidSchema>;

const moneySchema = z.object({ balance_micros: z.int(), held_micros: z.int() });

export type FlowTask = z.infer<typeof taskDetailSchema>;

/** The synthetic engine's model, which does what a prompt's script asks for. */
export const scripted = "scripted";

/** A prompt for the scripted model. */
export function script(words: string): string {
  return `[synthetic ${words}]`;
}

/** Everything a stream gives, in order. */
export async function collect<Item>(stream: AsyncIterable<Item>): Promise<Item[]> {
  const items: Item[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

/** A whole network in real processes, with a folder of its own that goes with it. */
export class Flow implements AsyncDisposable {
  readonly network: Network;
  readonly folder: string;
  readonly operator: Operator;

  private constructor(network: Network, folder: string) {
    this.network = network;
    this.folder = folder;
    this.operator = new Operator(network.url, network.adminKey);
  }

  static async start(options: FlowOptions): Promise<Flow> {
    const folder = mkdtempSync(join(tmpdir(), "octo-flow-"));
    const state = new State(folder);
    await state.open(false);
    const { models, workers = 1, flags = [], vars = {} } = options;
    const [model, ...others] = models;
    const network = await startNetwork({
      state,
      port: 0,
      workers,
      model,
      workerFlags: [...others.flatMap((other) => ["--model", other]), ...flags],
      vars,
    });
    const flow = new Flow(network, folder);
    await flow.untilListed(models.length * workers);
    flow.#assertNothingStruck();
    return flow;
  }

  /** Our own engines can do all that they claim: a probe that fails is a mistake. */
  #assertNothingStruck(): void {
    for (const { logPath } of this.network.workers) {
      const lines = readFileSync(logPath, "utf8").split("\n");
      const struck = lines.filter((line) => line.includes("Listed without an ability"));
      if (struck.length > 0) throw new Error(`A probe failed: ${struck.join(" ")}`);
    }
  }

  get url(): string {
    return this.network.url;
  }

  /** The official client, as a consumer would make it; it tries nothing twice unless told to. */
  client(options: ClientOptions = {}): OpenAI {
    return new OpenAI({
      baseURL: `${this.url}/v1`,
      apiKey: this.network.consumer.apiKey,
      maxRetries: 0,
      ...options,
    });
  }

  /** Calls the edge by hand, with the consumer's key unless another is given. */
  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    if (!headers.has("authorization")) {
      headers.set("authorization", `Bearer ${this.network.consumer.apiKey}`);
    }
    headers.set("content-type", "application/json");
    return fetch(this.url + path, { ...init, headers });
  }

  /** Asks the scripted model, by hand. */
  ask(words: string, more: Record<string, unknown> = {}, init: RequestInit = {}) {
    const messages = [{ role: "user", content: script(words) }];
    const body = JSON.stringify({ model: scripted, messages, ...more });
    return this.fetch("/v1/chat/completions", { method: "POST", body, ...init });
  }

  /** A consumer of its own account, which may run only so many tasks at once. */
  async newConsumer(micros: number, concurrencyMax?: number): Promise<Consumer> {
    const consumer = await this.operator.createConsumer("another consumer", micros);
    if (concurrencyMax !== undefined) {
      const response = await this.fetch(`/api/v1/accounts/${consumer.accountId}`, {
        method: "PATCH",
        headers: { authorization: `Bearer ${this.network.adminKey}` },
        body: JSON.stringify({ concurrency_max: concurrencyMax }),
      });
      if (!response.ok) throw new Error(`the limit was not set: ${await response.text()}`);
    }
    return consumer;
  }

  async models() {
    const response = await this.fetch("/v1/models");
    return modelListSchema.parse(await response.json()).data;
  }

  async freeSlots(model = scripted): Promise<number> {
    const found = (await this.models()).find(({ id }) => id === model);
    return found?.octo.free_slots ?? 0;
  }

  async untilFreeSlots(count: number, model = scripted): Promise<void> {
    await until(`${model} has ${count} free slots`, async () => {
      return (await this.freeSlots(model)) === count;
    });
  }

  /** Waits for so many listings, over all models and workers. */
  async untilListed(count: number): Promise<void> {
    await until(`${count} listings are up`, async () => {
      // The edge may be down just now.
      const models = await this.models().catch(() => []);
      return models.reduce((sum, { octo }) => sum + octo.workers, 0) >= count;
    });
  }

  worker(id: string | null | undefined): WorkerProcess {
    const worker = this.network.workers.find((one) => one.id === id);
    if (worker === undefined) throw new Error(`${id} is no worker of this network`);
    return worker;
  }

  otherWorker(id: string | null | undefined): WorkerProcess {
    const worker = this.network.workers.find((one) => one.id !== id);
    if (worker === undefined) throw new Error(`there is no worker beside ${id}`);
    return worker;
  }

  /** What a worker has said so far, in all its lives. */
  saidBy(worker: WorkerProcess): Said[] {
    const lines = readFileSync(worker.logPath, "utf8").split("\n").slice(0, -1);
    // A killed worker may leave half a line.
    return lines.flatMap((line) =>
      line.startsWith("{") ? [saidSchema.parse(JSON.parse(line))] : [],
    );
  }

  /** Waits until a worker tells that its engine no longer works for the task; gives how it went. */
  async untilWorkerEnds(taskId: string): Promise<string> {
    return until(`a worker tells how ${taskId} ended`, () => {
      const said = this.network.workers.flatMap((worker) => this.saidBy(worker));
      return said.find(({ attempt }) => attempt?.startsWith(`${taskId}.`))?.message;
    });
  }

  /** What the consumer has, in micros. */
  async money() {
    const response = await this.fetch("/api/v1/account");
    return moneySchema.parse(await response.json());
  }

  /** Waits until nothing is held for the consumer any more. */
  async untilNothingHeld(): Promise<void> {
    await until("nothing is held", async () => (await this.money()).held_micros === 0);
  }

  /** A task of the consumer's, once the books know it. */
  async untilTask(id: string): Promise<FlowTask> {
    return until(`the books know ${id}`, async () => {
      const response = await this.fetch(`/api/v1/tasks/${id}`);
      return response.ok ? taskDetailSchema.parse(await response.json()) : null;
    });
  }

  /** Takes everything down, and fails where something stays behind. */
  async [Symbol.asyncDispose](): Promise<void> {
    const before = networkProcesses();
    await this.network[Symbol.asyncDispose]();
    const unbalanced = await unbalancedAssets(this.network.edge.databaseUrl);
    const left = networkProcesses().filter(({ pid }) => before.some((one) => one.pid === pid));
    rmSync(this.folder, { recursive: true, force: true });
    if (left.length > 0) {
      throw new Error(`left running: ${left.map(({ command }) => command).join("; ")}`);
    }
    if (unbalanced.length > 0)
      throw new Error(`books that do not add up: ${unbalanced.join(", ")}`);
  }
}

/** The assets whose transfers do not sum to zero, read from the file the network has left. */
async function unbalancedAssets(url: string): Promise<string[]> {
  await using db = openLocalDatabase({ url });
  const assets = await conservation(db);
  return assets.filter(({ sumMicros }) => sumMicros !== 0n).map(({ asset }) => asset);
}
