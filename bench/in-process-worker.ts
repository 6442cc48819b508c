import { AsyncLocalStorage } from "node:async_hooks";
import { subscribe } from "node:diagnostics_channel";
import { randomUUID } from "node:crypto";
import type { Socket } from "node:net";
import { join } from "node:path";
import type { SigningKey } from "../shared/crypto/signing.ts";
import { listingOf, workerUrl } from "../worker-agent/agent.ts";
import { Connection } from "../worker-agent/connection/connection.ts";
import type { SessionNotice, SessionStop } from "../worker-agent/connection/session.ts";
import type { Engine } from "../worker-agent/engine/engine.ts";
import { ReceiptJournal } from "../worker-agent/tasks/receipt-journal.ts";
import { TaskRunner } from "../worker-agent/tasks/task-runner.ts";
import { agentName } from "../worker-agent/version.ts";

/** The socket of a connection is its own: this is how a kill gets at it from outside. */
const dialling = new AsyncLocalStorage<InProcessWorker>();
subscribe("net.client.socket", (message) => {
  const { socket } = message as { readonly socket: Socket };
  dialling.getStore()?.dialled(socket);
});

/** Everything a worker may be configured with that no measurement depends on. */
const config = {
  account: null,
  price: { inputMicrosPerMillion: 1_000_000, outputMicrosPerMillion: 1_000_000 },
  classCeiling: "public",
  drainMs: 1_000,
  availability: { hours: null, maxLoad: null, yieldsGpu: false },
} as const;

export interface InProcessWorkerOptions {
  readonly edgeUrl: string;
  readonly model: string;
  readonly key: SigningKey;
  readonly engine: Engine;
  /** Where its receipts go. */
  readonly folder: string;
}

/**
 * A worker's real connection and tasks on this thread, so that what its engine sees shares a clock
 * with the client of the same benchmark. One life: whoever is killed does not come back.
 */
export class InProcessWorker implements AsyncDisposable {
  readonly #journal: ReceiptJournal;
  readonly #connection: Connection;
  readonly #stopped: Promise<SessionStop>;
  #socket: Socket | null = null;
  #runner: TaskRunner | null = null;
  #tellListed: () => void = () => undefined;
  /** Resolves once the hub lists its model. */
  readonly listed: Promise<void>;

  private constructor(options: InProcessWorkerOptions, journal: ReceiptJournal) {
    this.#journal = journal;
    this.listed = new Promise((resolve) => {
      this.#tellListed = resolve;
    });
    this.#connection = this.#createConnection(options);
    this.#stopped = dialling.run(this, () => this.#connection.run());
  }

  /** A worker that dials at once; it is no one's yet before `listed`. */
  static async start(options: InProcessWorkerOptions): Promise<InProcessWorker> {
    // A file of its own: receipts that a killed process had not written are gone.
    const path = join(options.folder, `${randomUUID()}.jsonl`);
    return new InProcessWorker(options, await ReceiptJournal.open(path, () => {}));
  }

  /** Told of each socket that is opened on the way of this worker's connection. */
  dialled(socket: Socket): void {
    this.#socket = socket;
  }

  /**
   * As the end of a process looks from outside: its socket is closed without a word, its engine
   * makes no further token, and nothing that was gathered leaves.
   */
  kill(): void {
    this.#socket?.destroy();
    this.#runner?.lose();
    this.#connection.abort();
  }

  #createConnection(options: InProcessWorkerOptions): Connection {
    const { edgeUrl, model, key, engine } = options;
    const terms = { ...config, edge: edgeUrl };
    return new Connection({
      settings: {
        worker: key.publicKey,
        agent: agentName,
        account: terms.account,
        origin: new URL(edgeUrl).origin,
        isLoopback: true,
        listings: [listingOf({ name: model, engine, speed: null }, terms)],
        drainMs: terms.drainMs,
      },
      url: workerUrl(edgeUrl),
      key,
      journal: this.#journal,
      random: Math.random,
      onNotice: (notice) => this.#onNotice(notice),
      onAcknowledged: () => {},
      createRunner: ({ send, over }) => {
        this.#runner = new TaskRunner({
          enginesByModel: new Map([[model, engine]]),
          key,
          journal: this.#journal,
          log: (level, message, fields) => {
            if (level === "error") throw new Error(`${message} ${JSON.stringify(fields)}`);
          },
          send,
          over,
          made: () => {},
          failed: () => {},
        });
        return this.#runner;
      },
    });
  }

  #onNotice(notice: SessionNotice): void {
    if (notice.kind === "listed") this.#tellListed();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#connection.abort();
    await this.#stopped;
    await this.#journal[Symbol.asyncDispose]();
  }
}
