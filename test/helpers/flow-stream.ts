import { eventsOf, type StreamEvent } from "./flow-contract.ts";
import type { Flow } from "./flow-world.ts";
import { until } from "./until.ts";

/** Lasts until its client leaves. It keeps writing, as only a write finds out that nobody reads. */
export const steady = "tokens=8000 rate=20";

/** One streamed answer of the scripted model, read as it comes. */
export class OpenStream {
  readonly response: Response;
  /** Resolves once nothing more comes: at its end, or because the connection broke. */
  readonly over: Promise<"ended" | "broken">;
  #text = "";
  readonly #leaving: AbortController;

  private constructor(response: Response, leaving: AbortController) {
    this.response = response;
    this.#leaving = leaving;
    this.over = this.#read();
  }

  static async open(flow: Flow, words = steady, more = {}): Promise<OpenStream> {
    const leaving = new AbortController();
    const { signal } = leaving;
    const response = await flow.ask(words, { stream: true, ...more }, { signal });
    if (!response.ok) throw new Error(`no stream: ${await response.text()}`);
    return new OpenStream(response, leaving);
  }

  get text(): string {
    return this.#text;
  }

  get events(): StreamEvent[] {
    return eventsOf(this.#text);
  }

  /** The answer as far as it has come. */
  get content(): string {
    return this.events.map(({ choices }) => choices[0]?.delta?.content ?? "").join("");
  }

  get taskId(): string {
    return this.response.headers.get("x-octo-task") ?? "";
  }

  get workerId(): string {
    return this.response.headers.get("x-octo-worker") ?? "";
  }

  async untilWord(count: number): Promise<void> {
    await until(`word ${count} has come`, () => this.content.includes(`word${count}`));
  }

  /** Hangs up. */
  async leave(): Promise<void> {
    this.#leaving.abort();
    await this.over;
  }

  async #read(): Promise<"ended" | "broken"> {
    const decoder = new TextDecoder();
    try {
      for await (const chunk of this.response.body ?? []) {
        this.#text += decoder.decode(chunk, { stream: true });
      }
      return "ended";
    } catch {
      // Whoever asks is told that it broke; the tests say whether it should have.
      return "broken";
    }
  }
}
