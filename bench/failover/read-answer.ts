import { z } from "zod";
import type { StreamRequest } from "../load/reply.ts";

/** One streamed answer as its client saw it. */
export interface ReadAnswer {
  readonly text: string;
  /** `done` is the only good one; `error` was told by an event, `cut` by nobody. */
  readonly ending: "done" | "error" | "cut";
  readonly finish: string | null;
  readonly taskId: string;
  /** When pieces of text came. */
  readonly arrivalsMs: readonly number[];
}

/** Told of the text so far whenever it grows, and of the worker that began the answer. */
export type OnText = (text: string, workerId: string) => void;

const eventSchema = z.object({
  error: z.unknown().optional(),
  choices: z.array(
    z.object({
      delta: z.object({ content: z.string().nullish() }).optional(),
      finish_reason: z.string().nullish(),
    }),
  ),
});

/** Asks and reads to the end, however the answer ends. Throws where none begins. */
export async function readAnswer(
  { url, headers, body }: StreamRequest,
  onText: OnText = () => {},
): Promise<ReadAnswer> {
  const response = await fetch(url, { method: "POST", headers, body });
  if (!response.ok || response.body === null) {
    throw new Error(`the edge answered ${response.status}: ${await response.text()}`);
  }
  const reading = new Reading();
  const workerId = response.headers.get("x-octo-worker") ?? "";
  const decoder = new TextDecoder();
  try {
    for await (const chunk of response.body) {
      const before = reading.text.length;
      reading.take(decoder.decode(chunk, { stream: true }), performance.now());
      if (reading.text.length > before) onText(reading.text, workerId);
    }
  } catch {
    // The connection broke: that no ending has come tells it.
  }
  return reading.answer(response.headers.get("x-octo-task") ?? "");
}

class Reading {
  #rest = "";
  #ending: ReadAnswer["ending"] = "cut";
  #finish: string | null = null;
  readonly #arrivalsMs: number[] = [];
  text = "";

  take(piece: string, nowMs: number): void {
    const events = (this.#rest + piece).split("\n\n");
    this.#rest = events.pop() ?? "";
    const before = this.text.length;
    for (const event of events) this.#takeEvent(event);
    if (this.text.length > before) this.#arrivalsMs.push(nowMs);
  }

  #takeEvent(event: string): void {
    const data = /^data: (.*)$/m.exec(event)?.[1];
    // A comment only keeps the connection alive.
    if (data === undefined) return;
    if (data === "[DONE]") {
      if (this.#ending === "cut") this.#ending = "done";
      return;
    }
    const { error, choices } = eventSchema.parse(JSON.parse(data));
    if (error !== undefined) this.#ending = "error";
    for (const { delta, finish_reason: finish } of choices) {
      this.text += delta?.content ?? "";
      this.#finish = finish ?? this.#finish;
    }
  }

  answer(taskId: string): ReadAnswer {
    const { text } = this;
    const arrivalsMs = this.#arrivalsMs;
    return { text, ending: this.#ending, finish: this.#finish, taskId, arrivalsMs };
  }
}

/**
 * The longest silence between two pieces of text of which the second came after `atMs`: the pause
 * at a switch. Null where no text had come by then.
 */
export function pauseAfter({ arrivalsMs }: ReadAnswer, atMs: number): number | null {
  let longest: number | null = null;
  for (const [at, arrivalMs] of arrivalsMs.entries()) {
    const beforeMs = arrivalsMs[at - 1];
    if (beforeMs === undefined || arrivalMs <= atMs || (arrivalsMs[0] ?? atMs) >= atMs) continue;
    longest = Math.max(longest ?? 0, arrivalMs - beforeMs);
  }
  return longest;
}
