import { setTimeout as sleep } from "node:timers/promises";
import { generateSigningKey, type SigningKey } from "../../shared/crypto/signing.ts";
import type { Engine, EngineEvent } from "../../worker-agent/engine/engine.ts";
import { promptOf } from "../../worker-agent/engine/synthetic/synthetic-answer.ts";
import { createSyntheticEngine } from "../../worker-agent/engine/synthetic/synthetic.ts";
import { InProcessWorker } from "../in-process-worker.ts";

/** A process takes about so long from its end to its next beginning. */
const returnMs = 500;

export interface FleetOptions {
  readonly edgeUrl: string;
  readonly model: string;
  readonly workers: number;
  readonly folder: string;
}

/** The deaths that are due: after which token of which answer, by the name in its prompt. */
class Deaths {
  readonly #tokensByName = new Map<string, number>();
  readonly #diedMsByName = new Map<string, number>();

  /** Whoever makes this token of the answer dies of it, once. */
  plan(name: string, token: number): void {
    this.#tokensByName.set(name, token);
  }

  /** Whether a worker that has just made the answer's token of this number dies now. */
  take(name: string, token: number): boolean {
    const due = this.#tokensByName.get(name);
    if (due === undefined || token < due) return false;
    this.#tokensByName.delete(name);
    this.#diedMsByName.set(name, performance.now());
    return true;
  }

  /** When the answer lost its worker; null where it never did. */
  diedMs(name: string): number | null {
    return this.#diedMsByName.get(name) ?? null;
  }
}

/**
 * Workers of one slot each, with one model, which die as planned and come back with nothing but
 * their identity.
 */
export class Fleet implements AsyncDisposable {
  readonly deaths = new Deaths();
  readonly #options: FleetOptions;
  readonly #lives = new Set<InProcessWorker>();
  readonly #returns = new Set<Promise<void>>();
  #isOver = false;

  private constructor(options: FleetOptions) {
    this.#options = options;
  }

  /** Resolves once all of them are listed. */
  static async start(options: FleetOptions): Promise<Fleet> {
    const fleet = new Fleet(options);
    const lives = await Promise.all(
      Array.from({ length: options.workers }, async () => {
        const { key } = await generateSigningKey();
        return fleet.#begin(key);
      }),
    );
    await Promise.all(lives.map(({ listed }) => listed));
    return fleet;
  }

  async #begin(key: SigningKey): Promise<InProcessWorker> {
    const { edgeUrl, model, folder } = this.#options;
    const engine = mortal(createSyntheticEngine({ name: model, slots: 1 }), {
      deaths: this.deaths,
      die: () => this.#kill(life, key),
    });
    const life = await InProcessWorker.start({ edgeUrl, model, key, engine, folder });
    this.#lives.add(life);
    return life;
  }

  #kill(life: InProcessWorker, key: SigningKey): void {
    life.kill();
    this.#lives.delete(life);
    const returning = this.#return(life, key).finally(() => this.#returns.delete(returning));
    this.#returns.add(returning);
  }

  async #return(life: InProcessWorker, key: SigningKey): Promise<void> {
    await life[Symbol.asyncDispose]();
    await sleep(returnMs);
    if (!this.#isOver) await this.#begin(key);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#returns);
    await Promise.all([...this.#lives].map((life) => life[Symbol.asyncDispose]()));
  }
}

/** The name a prompt has beside its script: `[answer 17]`. */
const namePattern = /\[(answer \d+)\]/;

/** An engine whose worker dies of some of its tokens: they are made, and never leave. */
function mortal(inner: Engine, mortality: { deaths: Deaths; die: () => void }): Engine {
  const { deaths, die } = mortality;
  return {
    ...inner,
    async *generate(task, signal): AsyncGenerator<EngineEvent> {
      const name = namePattern.exec(promptOf(task))?.[1] ?? "";
      let token = task.prefix?.tokenIds?.length ?? 0;
      for await (const event of inner.generate(task, signal)) {
        if (event.kind === "part") token += event.part.tokens;
        if (event.kind === "part" && deaths.take(name, token)) die();
        yield event;
      }
    },
  };
}
