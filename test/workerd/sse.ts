interface Chunk {
  readonly choices: readonly {
    readonly delta: { readonly content?: string };
    readonly finish_reason: string | null;
  }[];
  readonly error?: { readonly code: string };
}

/** A streamed answer as a client sees it. */
export interface ReadAnswer {
  readonly text: string;
  readonly error: { readonly code: string } | undefined;
  readonly reasons: readonly string[];
  /** Whether `[DONE]` was its last event. */
  readonly isDone: boolean;
}

/** Reads a stream of chat completion chunks to its end. */
export async function readStream(response: Response): Promise<ReadAnswer> {
  const body = await response.text();
  const events = body
    .split("\n\n")
    .map((event) => event.replace(/^id: .*\n/, ""))
    .filter((event) => event.startsWith("data: "))
    .map((event) => event.slice("data: ".length));
  const chunks = events
    .filter((event) => event !== "[DONE]")
    .map((event) => JSON.parse(event) as Chunk);
  const text = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");
  const error = chunks.find((chunk) => chunk.error !== undefined)?.error;
  const reasons = chunks.flatMap((chunk) => chunk.choices[0]?.finish_reason ?? []);
  return { text, error, reasons, isDone: events.at(-1) === "[DONE]" };
}
