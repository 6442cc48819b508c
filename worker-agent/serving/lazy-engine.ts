import type {
  Engine,
  EngineEvent,
  EngineHealth,
  EngineKind,
  EngineModel,
  EngineStats,
  GenerateTask,
  ResultAnswer,
  ResultTask,
} from "../engine/engine.ts";

/** What an engine that comes and goes asks of the pool it belongs to. */
export interface EngineLender {
  /** The loaded engine, loaded for this where it is not; null where `signal` aborted first. */
  lease(signal: AbortSignal): Promise<Engine | null>;
  /** Gives back what `lease` gave. */
  release(): void;
  /** The engine, where it is loaded now. */
  loaded(): Engine | null;
  /** Why no task should be sent to it, or null where nothing is wrong. */
  trouble(): string | null;
  /** Tasks that wait for it to be loaded. */
  waitingCount(): number;
}

/**
 * A model that may be unloaded between two tasks, as an engine like any other: a task that finds it
 * unloaded waits until it is loaded again.
 */
export class LazyEngine implements Engine {
  readonly kind: EngineKind;
  readonly model: EngineModel;
  readonly #lender: EngineLender;

  constructor(first: Engine, lender: EngineLender) {
    this.kind = first.kind;
    this.model = first.model;
    this.#lender = lender;
  }

  generate(task: GenerateTask, signal: AbortSignal): AsyncIterable<EngineEvent> {
    const lender = this.#lender;
    return { [Symbol.asyncIterator]: () => new LeasedRun(lender, task, signal) };
  }

  async perform(task: ResultTask, signal: AbortSignal): Promise<ResultAnswer> {
    return this.#with(signal, (engine) => engine.perform(task, signal));
  }

  async tokenize(text: string, signal: AbortSignal): Promise<readonly number[]> {
    return this.#with(signal, (engine) => engine.tokenize(text, signal));
  }

  async health(signal: AbortSignal): Promise<EngineHealth> {
    const trouble = this.#lender.trouble();
    if (trouble !== null) return { kind: "failing", reason: trouble };
    const engine = this.#lender.loaded();
    return engine === null ? { kind: "unloaded" } : engine.health(signal);
  }

  stats(): EngineStats {
    const waiting = this.#lender.waitingCount();
    const engine = this.#lender.loaded();
    if (engine === null) return { running: 0, waiting, memoryBytes: 0 };
    const stats = engine.stats();
    return { ...stats, waiting: stats.waiting + waiting };
  }

  /** The pool that loads it disposes of it. */
  async [Symbol.asyncDispose](): Promise<void> {}

  async #with<Result>(
    signal: AbortSignal,
    use: (engine: Engine) => Promise<Result>,
  ): Promise<Result> {
    const engine = await this.#lender.lease(signal);
    if (engine === null) throw signal.reason;
    try {
      return await use(engine);
    } finally {
      this.#lender.release();
    }
  }
}

/**
 * One generation on a leased engine. Written out, because a generator around a generator would cost
 * each token several turns of the event loop.
 */
class LeasedRun implements AsyncIterator<EngineEvent> {
  readonly #lender: EngineLender;
  readonly #task: GenerateTask;
  readonly #signal: AbortSignal;
  #inner: AsyncIterator<EngineEvent> | null = null;
  #isOver = false;

  constructor(lender: EngineLender, task: GenerateTask, signal: AbortSignal) {
    this.#lender = lender;
    this.#task = task;
    this.#signal = signal;
  }

  async next(): Promise<IteratorResult<EngineEvent>> {
    if (this.#isOver) return over;
    if (this.#inner === null) {
      const engine = await this.#lender.lease(this.#signal);
      if (this.#isOver) {
        // Left while it waited: nobody comes again to give the model back.
        if (engine !== null) this.#lender.release();
        return over;
      }
      if (engine === null) {
        this.#isOver = true;
        return { done: false, value: nothingMade };
      }
      this.#inner = this.#begin(engine);
    }
    try {
      const step = await this.#inner.next();
      if (step.done === true) this.#release();
      return step;
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  #begin(engine: Engine): AsyncIterator<EngineEvent> {
    try {
      return engine.generate(this.#task, this.#signal)[Symbol.asyncIterator]();
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  async return(): Promise<IteratorResult<EngineEvent>> {
    const inner = this.#inner;
    if (inner === null) this.#isOver = true;
    if (this.#isOver) return over;
    try {
      await inner?.return?.();
    } finally {
      this.#release();
    }
    return over;
  }

  #release(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#lender.release();
  }
}

const over: IteratorResult<EngineEvent> = { done: true, value: undefined };

/** A task that gave up before its model was loaded. */
const nothingMade: EngineEvent = {
  kind: "end",
  finishes: [],
  usage: { prompt: 0, completion: 0, cached: 0 },
};
