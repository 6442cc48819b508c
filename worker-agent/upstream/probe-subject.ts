import type { TokenLogprob } from "../../shared/openai/output.ts";
import type { Engine, GenerateTask, ResultAnswer, ResultTask } from "../engine/engine.ts";
import { EngineError } from "../engine/engine.ts";
import { AbsentError } from "./errors.ts";

/** What a probe's generation came to. */
export interface ProbedAnswer {
  readonly texts: readonly string[];
  readonly reasoning: string;
  readonly toolNames: readonly string[];
  readonly toolArguments: readonly string[];
  readonly logprobs: readonly TokenLogprob[];
  readonly tokens: number;
  readonly ended: number;
}

/** A model that is asked what it can do: through the very engine that will serve it. */
export class ProbeSubject {
  readonly name: string;
  readonly #engine: Engine;
  readonly #signal: AbortSignal;
  #isLoaded = false;
  #timeouts = 0;
  #hasFailed = false;

  constructor(name: string, engine: Engine, signal: AbortSignal) {
    this.name = name;
    this.#engine = engine;
    this.#signal = signal;
  }

  /** Whether a question went without an answer that would be the same another time. */
  get hasFailed(): boolean {
    return this.#hasFailed || this.#timeouts > 0;
  }

  chat(
    words: string,
    fields: Readonly<Record<string, unknown>>,
    prefix?: string,
  ): Promise<ProbedAnswer | null> {
    return this.#chat([{ role: "user", content: words }], fields, prefix);
  }

  look(words: string, image: string, fields: Readonly<Record<string, unknown>>) {
    const url = `data:image/png;base64,${image}`;
    const content = [
      { type: "text", text: words },
      { type: "image_url", image_url: { url } },
    ];
    return this.#chat([{ role: "user", content }], fields);
  }

  complete(
    prompt: string,
    fields: Readonly<Record<string, unknown>>,
  ): Promise<ProbedAnswer | null> {
    const request = { model: this.name, prompt, ...fields };
    return this.#run({ kind: "completion", request });
  }

  /** Null where the server refuses or fails. */
  async perform(task: ResultTask): Promise<ResultAnswer | null> {
    return this.#try((signal) => this.#engine.perform(task, signal));
  }

  /** Null where the server has no tokenizer to ask. */
  async tokenize(text: string): Promise<readonly number[] | null> {
    return this.#try((signal) => this.#engine.tokenize(text, signal));
  }

  #chat(
    messages: readonly unknown[],
    fields: Readonly<Record<string, unknown>>,
    prefix?: string,
  ): Promise<ProbedAnswer | null> {
    const request = { model: this.name, messages, ...fields } as never;
    const continued = prefix === undefined ? {} : { prefix: { text: prefix, tokenIds: null } };
    return this.#run({ kind: "chat", request, ...continued });
  }

  #run(task: GenerateTask): Promise<ProbedAnswer | null> {
    return this.#try((signal) => gather(this.#engine, task, signal));
  }

  async #try<Value>(run: (signal: AbortSignal) => Promise<Value>): Promise<Value | null> {
    // A server that no longer answers would be asked for minutes.
    if (this.#timeouts >= timeoutsMax) return null;
    const limit = AbortSignal.timeout(this.#isLoaded ? probeMs : loadMs);
    this.#isLoaded = true;
    const either = AbortSignal.any([this.#signal, limit]);
    try {
      const value = await run(either);
      this.#signal.throwIfAborted();
      // What took too long is not proved.
      if (limit.aborted) this.#timeouts += 1;
      return limit.aborted ? null : value;
    } catch (error) {
      this.#signal.throwIfAborted();
      // A refusal is an answer to a probe, and so is silence.
      if (limit.aborted) this.#timeouts += 1;
      if (isFailure(error)) this.#hasFailed = true;
      if (error instanceof EngineError || limit.aborted) return null;
      throw error;
    }
  }
}

/** A busy, broken or vanished server, as opposed to one that says no. */
function isFailure(error: unknown): boolean {
  if (!(error instanceof EngineError) || error instanceof AbsentError) return false;
  return error.code === "engine_failed" || error.code === "out_of_memory";
}

/** A few tokens of a slow machine; what takes longer would make every task late. */
const probeMs = 30_000;
const timeoutsMax = 2;
/** The first question may load a model of tens of gigabytes. */
const loadMs = 300_000;

/** Runs a generation to its end. */
async function gather(
  engine: Engine,
  task: GenerateTask,
  signal: AbortSignal,
): Promise<ProbedAnswer> {
  const texts: string[] = [];
  const names = new Map<number, string>();
  const given = new Map<number, string>();
  const logprobs: TokenLogprob[] = [];
  let reasoning = "";
  let tokens = 0;
  let ended = 0;
  for await (const event of engine.generate(task, signal)) {
    if (event.kind === "end") {
      tokens = event.usage.completion;
      ended = event.finishes.length;
      continue;
    }
    const { part } = event;
    texts[part.index] = (texts[part.index] ?? "") + (part.text ?? "");
    reasoning += part.reasoning ?? "";
    logprobs.push(...(part.logprobs ?? []));
    for (const call of part.tool_calls ?? []) {
      if (call.name !== undefined) names.set(call.index, call.name);
      given.set(call.index, (given.get(call.index) ?? "") + (call.arguments ?? ""));
    }
  }
  const [toolNames, toolArguments] = [[...names.values()], [...given.values()]];
  return { texts, reasoning, toolNames, toolArguments, logprobs, tokens, ended };
}
