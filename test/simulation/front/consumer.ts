import type { ErrorCode } from "../../../shared/errors.ts";
import { wholeAnswer } from "../../../edge/inference/whole-answer.ts";
import type { InferenceTask } from "../../../edge/inference/task.ts";
import type { RunEvent, Source } from "./run-pipe.ts";
import { hold } from "../truth.ts";
import type { World } from "../world.ts";

/** How a request ended for who made it. */
export type ConsumerEnding =
  | "answered"
  /** An HTTP error: nothing was promised. */
  | `refused: ${ErrorCode}`
  /** An error event in mid-answer. */
  | "broken"
  | "hung up"
  /** The connection was cut without a word. */
  | "cut";

interface Chunk {
  readonly choices: {
    readonly index: number;
    readonly delta?: { readonly content?: string | null };
    readonly finish_reason: string | null;
  }[];
  readonly error?: unknown;
}

/**
 * One consumer: reads what any OpenAI client would read, and holds it against what the workers
 * really sent.
 */
export class Consumer {
  readonly taskId: string;
  readonly #world: World;
  readonly #choices: number;
  readonly #texts: string[] = [];
  readonly #finishes = new Set<number>();
  #source: Source | null = null;
  #buffer = "";
  #place = 0;
  #isDone = false;
  #isBroken = false;
  ending: ConsumerEnding | null = null;

  constructor(world: World, task: Pick<InferenceTask, "id" | "choices">) {
    this.#world = world;
    this.taskId = task.id;
    this.#choices = task.choices;
  }

  /** The response has begun. */
  begin(source: Source): void {
    hold(this.#source === null, "I5", () => `${this.taskId} begins twice`);
    this.#source = source;
  }

  read(text: string): void {
    this.#buffer += text;
    for (;;) {
      const at = this.#buffer.indexOf("\n\n");
      if (at === -1) return;
      this.#readEvent(this.#buffer.slice(0, at));
      this.#buffer = this.#buffer.slice(at + 2);
    }
  }

  #readEvent(event: string): void {
    if (event.startsWith(":")) return;
    if (event.startsWith("id: ")) {
      const [id = "", ...rest] = event.split("\n");
      this.#checkPlace(Number(id.split(":").at(-1)));
      return this.#readEvent(rest.join("\n"));
    }
    hold(!this.#isDone, "I2", () => `${this.taskId} goes on after [DONE]: ${event}`);
    const isOneLine = event.startsWith("data: ") && !event.includes("\n");
    hold(isOneLine, "I2", () => `an event is one line of data: ${event}`);
    if (event === "data: [DONE]") {
      this.#isDone = true;
      return;
    }
    const chunk = JSON.parse(event.slice(6)) as Chunk;
    if (chunk.error !== undefined) this.#isBroken = true;
    for (const { index, delta, finish_reason: finish } of chunk.choices) {
      hold(index < this.#choices, "I2", () => `choice ${index} was not asked for`);
      this.#texts[index] = (this.#texts[index] ?? "") + (delta?.content ?? "");
      if (finish !== null && finish !== "error") this.#finishes.add(index);
    }
    this.#checkPrefix();
  }

  /** Events count up by one: whoever comes back misses none and has none twice. */
  #checkPlace(place: number): void {
    hold(place === this.#place + 1, "I2", () => `${this.taskId}: ${place} after ${this.#place}`);
    this.#place = place;
  }

  /** The stream has ended by itself. */
  close(): void {
    if (this.#isDone) this.end("answered");
    else this.end("broken");
  }

  answer(event: Extract<RunEvent, { kind: "whole" }>, task: InferenceTask): void {
    const { source, answer } = event;
    this.#source = source;
    const head = { ...task, taskId: task.id, model: source.model, digest: source.digest };
    const body = wholeAnswer({ ...head, kind: "chat" }, answer) as {
      choices: { index: number; message: { content: string }; finish_reason: string }[];
    };
    for (const { index, message } of body.choices) {
      this.#texts[index] = message.content;
      this.#finishes.add(index);
    }
    this.#isDone = true;
    this.end("answered");
  }

  end(ending: ConsumerEnding): void {
    const { trace, truth } = this.#world;
    trace.note("consumer", `${this.taskId} ${ending}`);
    hold(this.ending === null, "I1", () => `${this.taskId} ends twice: ${this.ending}, ${ending}`);
    this.ending = ending;
    truth.endings.set(this.taskId, ending);
    truth.count(ending);
    if (ending === "answered") this.#checkWhole();
    if (ending.startsWith("refused")) {
      hold(this.#source === null, "I5", () => `${this.taskId} is refused after it began`);
    }
  }

  /** I2: what came is a prefix of what one attempt's worker sent, behind what it went on from. */
  #checkPrefix(): void {
    const chains = this.#chains();
    for (const [index, text] of this.#texts.entries()) {
      if (text === undefined || text === "") continue;
      hold(
        chains.some(({ texts }) => (texts[index] ?? "").startsWith(text)),
        "I2",
        () => `${this.taskId}: "${text}" is no part of ${JSON.stringify(chains)}`,
      );
    }
  }

  /** I5: a success is whole. */
  #checkWhole(): void {
    hold(this.#isDone && !this.#isBroken, "I5", () => `${this.taskId} is a success with an error`);
    const last = this.#chains().findLast(({ isComplete }) => isComplete);
    hold(
      last !== undefined,
      "I5",
      () => `${this.taskId} is a success and no attempt was completed`,
    );
    const sent = last?.texts ?? [];
    for (let index = 0; index < this.#choices; index++) {
      const text = this.#texts[index] ?? "";
      const whole = sent[index] ?? "";
      hold(text === whole, "I5 I2", () => `${this.taskId}: "${text}" is not all of "${whole}"`);
      hold(this.#finishes.has(index), "I5", () => `choice ${index} of ${this.taskId} has no end`);
    }
  }

  /** What each attempt from the first that was heard on has given, all that was there before. */
  #chains(): { readonly texts: readonly string[]; readonly isComplete: boolean }[] {
    const { attempts } = this.#world.truth;
    const first = Number(this.#source?.attempt.split(".")[1] ?? 0);
    const chains: { readonly texts: readonly string[]; readonly isComplete: boolean }[] = [];
    for (const [id, { texts, given, isComplete }] of attempts) {
      const [task, number] = id.split(".");
      if (task !== this.taskId || Number(number) < first) continue;
      chains.push({ texts: [given + (texts[0] ?? ""), ...texts.slice(1)], isComplete });
    }
    return chains;
  }
}
