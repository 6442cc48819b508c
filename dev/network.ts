import { createServer } from "node:net";
import { once } from "node:events";
import { z } from "zod";
import { type Edge, startEdge } from "./edge.ts";
import { isKeyGood, Operator } from "./operator.ts";
import { type Consumer, StartError, type State } from "./state.ts";
import { startTimer } from "./timer.ts";
import { WorkerProcess } from "./worker-process.ts";

/** The tiny model answers within a second; a large one may take a minute to load. */
const listedWithinMs = 120_000;
const pollMs = 50;
/**
 * Once its worker is gone an answer ends within a tenth of a second; one that has not begun may
 * wait for another worker, and would in vain.
 */
const endedWithinMs = 400;

export interface NetworkOptions {
  readonly state: State;
  readonly port: number;
  readonly workers: number;
  readonly model: string;
  readonly workerFlags?: readonly string[];
  readonly vars?: Readonly<Record<string, string>>;
  /** See `EdgeOptions`. */
  readonly script?: string;
  /** Ends a start that takes too long for whoever waits; they also end what has started. */
  readonly signal?: AbortSignal;
}

/** An edge, a funded consumer and workers, all on this machine. */
export interface Network extends AsyncDisposable {
  readonly edge: Edge;
  readonly url: string;
  readonly adminKey: string;
  readonly consumer: Consumer;
  readonly workers: readonly WorkerProcess[];
}

/**
 * Starts everything; resolves once every worker is listed. Throws StartError for what a person can
 * mend.
 */
export async function startNetwork(options: NetworkOptions): Promise<Network> {
  const { state } = options;
  await assertPortFree(options.port);
  const secrets = await state.secrets();
  await using started = new AsyncDisposableStack();
  const edge = started.use(
    await startEdge({
      port: options.port,
      stateDir: state.path("edge"),
      secrets,
      ...(options.vars === undefined ? {} : { vars: options.vars }),
      ...(options.script === undefined ? {} : { script: options.script }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    }),
  );
  const operator = new Operator(edge.url, secrets.operatorKey);
  const consumer = await findConsumer(state, edge, operator);
  const workers: WorkerProcess[] = [];
  started.defer(() => state.remove("dev.json"));
  started.defer(async () => {
    // Together: each of them may take its time to finish its answers.
    await Promise.all(workers.map((worker) => worker[Symbol.asyncDispose]()));
    await answersEnded(operator);
  });
  const written = keepCurrent(async () => {
    await writeDevFile(state, { edge, adminKey: secrets.operatorKey, consumer, workers });
  });
  for (let number = 1; number <= options.workers; number++) {
    const worker = await WorkerProcess.start({
      edgeUrl: edge.url,
      model: options.model,
      stateDir: state.path("workers", `worker-${number}`),
      flags: options.workerFlags ?? [],
      onChange: written,
    });
    workers.push(worker);
  }
  await workersListed(edge.url, consumer, options, workers);
  await writeDevFile(state, { edge, adminKey: secrets.operatorKey, consumer, workers });
  started.use(startTimer(edge.miniflare));
  const running = started.move();
  return {
    edge,
    url: edge.url,
    adminKey: secrets.operatorKey,
    consumer,
    workers,
    async [Symbol.asyncDispose]() {
      await running.disposeAsync();
      state.close();
    },
  };
}

async function assertPortFree(port: number): Promise<void> {
  if (port === 0) return;
  const probe = createServer();
  probe.listen(port, "127.0.0.1");
  try {
    await once(probe, "listening");
  } catch (error) {
    throw new StartError(
      `Cannot listen on 127.0.0.1:${port}: it is in use; choose another with --port`,
      { cause: error },
    );
  }
  probe.close();
  await once(probe, "close");
}

async function findConsumer(state: State, edge: Edge, operator: Operator): Promise<Consumer> {
  const known = await state.consumer();
  if (known !== null && (await isKeyGood(edge.url, known.apiKey))) return known;
  const consumer = await operator.createConsumer("local consumer");
  await state.write("consumer.json", consumer);
  return consumer;
}

const modelsSchema = z.object({
  data: z.array(z.object({ octo: z.object({ workers: z.int() }) })),
});

async function workersListed(
  url: string,
  consumer: Consumer,
  options: NetworkOptions,
  workers: readonly WorkerProcess[],
): Promise<void> {
  const deadlineMs = Date.now() + listedWithinMs;
  for (;;) {
    options.signal?.throwIfAborted();
    const response = await fetch(`${url}/v1/models`, {
      headers: { authorization: `Bearer ${consumer.apiKey}` },
    });
    const models = modelsSchema.parse(await response.json());
    const listed = models.data.reduce((sum, model) => sum + model.octo.workers, 0);
    if (listed >= options.workers) return;
    for (const { failure, logPath } of workers) {
      if (failure !== null) throw new StartError(failure || `A worker ended; see ${logPath}`);
    }
    if (Date.now() > deadlineMs) {
      const logs = workers.map((worker) => worker.logPath).join(", ");
      throw new StartError(`Only ${listed} of ${options.workers} workers came up; see ${logs}`);
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

interface Running {
  readonly edge: Edge;
  readonly adminKey: string;
  readonly consumer: Consumer;
  readonly workers: readonly WorkerProcess[];
}

/** For scripts: where the network is, and which processes are its workers. */
async function writeDevFile(state: State, running: Running): Promise<void> {
  await state.write("dev.json", {
    url: running.edge.url,
    api_key: running.consumer.apiKey,
    admin_key: running.adminKey,
    workers: running.workers.map((worker) => ({ id: worker.id, pid: worker.pid })),
  });
}

const accountsSchema = z.object({ data: z.array(z.object({ id: z.string() })) });
const moneySchema = z.object({ held_micros: z.int() });

/**
 * Waits, not for long, until nothing is held for anybody: then every answer has ended, as its
 * consumer was told, and is paid. The runtime is ended without being asked.
 */
async function answersEnded(operator: Operator): Promise<void> {
  const deadlineMs = Date.now() + endedWithinMs;
  try {
    const { data } = accountsSchema.parse(await operator.get("/api/v1/accounts?limit=100"));
    for (const { id } of data) {
      for (;;) {
        const money = moneySchema.parse(await operator.get(`/api/v1/accounts/${id}`));
        if (money.held_micros === 0) break;
        if (Date.now() > deadlineMs) return;
        await new Promise((resolve) => setTimeout(resolve, pollMs));
      }
    }
  } catch {
    // The edge is down already: there is nothing to wait for.
  }
}

/** Runs `write` once more for changes that come while it runs, never twice at a time. */
function keepCurrent(write: () => Promise<void>): () => void {
  let running = false;
  let again = false;
  const run = async () => {
    running = true;
    do {
      again = false;
      await write();
    } while (again);
    running = false;
  };
  return () => {
    if (running) again = true;
    else void run();
  };
}
