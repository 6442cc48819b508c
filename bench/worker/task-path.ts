import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SigningKey } from "../../shared/crypto/signing.ts";
import { generateSigningKey } from "../../shared/crypto/signing.ts";
import { encodeFrame } from "../../shared/protocol/codec.ts";
import { windowBytes } from "../../shared/protocol/limits.ts";
import { partBytes } from "../../shared/protocol/receipt.ts";
import type { Engine } from "../../worker-agent/engine/engine.ts";
import type { AttemptFrame } from "../../worker-agent/tasks/attempt.ts";
import { ReceiptJournal } from "../../worker-agent/tasks/receipt-journal.ts";
import { TaskRunner } from "../../worker-agent/tasks/task-runner.ts";

/** How long a hub that has little to do lets output be gathered. */
const paceMsDefault = 25;
const model = "bench";

/**
 * A worker's tasks from offer to signed receipt, with everything but the socket: frames are encoded
 * and thrown away, and what they hold is granted again as by a hub that keeps up.
 */
export class TaskPath implements AsyncDisposable {
  readonly #runner: TaskRunner;
  readonly #journal: ReceiptJournal;
  readonly #folder: string;
  readonly #overs = new Map<string, (tokens: number) => void>();
  #count = 0;
  /** Frames and bytes, to tell how much was gathered. */
  frames = 0;

  private constructor(engine: Engine, key: SigningKey, journal: ReceiptJournal, folder: string) {
    this.#journal = journal;
    this.#folder = folder;
    this.#runner = new TaskRunner({
      enginesByModel: new Map([[model, engine]]),
      key,
      journal,
      log: () => {},
      send: (frame) => this.#send(frame),
      over: ({ attempt, outcome, completionTokens }) => {
        if (outcome !== "complete") throw new Error(`${attempt} ended as ${outcome}`);
        this.#overs.get(attempt)?.(completionTokens);
        this.#overs.delete(attempt);
      },
      made: () => {},
      failed: (_, error) => {
        throw error;
      },
    });
  }

  static async open(engine: Engine): Promise<TaskPath> {
    const folder = await mkdtemp(join(tmpdir(), "octo-bench-"));
    const journal = await ReceiptJournal.open(join(folder, "receipts"), () => {});
    const { key } = await generateSigningKey();
    return new TaskPath(engine, key, journal, folder);
  }

  /** Runs the bodies of so many completion requests at once; gives the tokens made in all. */
  async run(bodies: readonly string[], paceMs = paceMsDefault): Promise<number> {
    const made = await Promise.all(bodies.map((body) => this.#start(body, paceMs)));
    return made.reduce((sum, tokens) => sum + tokens, 0);
  }

  #start(body: string, paceMs: number): Promise<number> {
    this.#count += 1;
    const attempt = `tsk_${String(this.#count).padStart(22, "0")}.1`;
    return new Promise((resolve) => {
      this.#overs.set(attempt, resolve);
      const offer = {
        type: "task.offer",
        attempt,
        kind: "completion",
        model,
        digest: "0".repeat(64),
        body,
        body_parts: 1,
        window_bytes: windowBytes,
        input_micros_per_million: 1,
        output_micros_per_million: 1,
        ticket: "bench",
      } as const;
      this.#runner.start(offer, paceMs);
    });
  }

  #send(frame: AttemptFrame): void {
    encodeFrame(frame);
    this.frames += 1;
    if (frame.type === "task.end") this.#journal.acknowledge([frame.attempt]);
    if (frame.type !== "task.delta") return;
    const bytes = frame.parts.reduce((sum, part) => sum + partBytes(part), 0);
    this.#runner.deliver({ type: "task.window", attempt: frame.attempt, bytes });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#journal[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true });
  }
}
