import type { z } from "zod";
import { jsonOrNull } from "../../shared/json-or-null.ts";
import type { Server } from "./http.ts";
import { ask, readText, TransportError } from "./http.ts";

export interface ReadOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  readonly body?: unknown;
}

/** Facts about models are some kilobytes; Ollama's licences some hundred. */
const factsBytesMax = 4 * 1024 * 1024;

/**
 * A document of a server's own, in the form of `schema`; null where it has none, or another: that
 * is how servers are told apart. Throws TransportError where nothing answers, or the signal's
 * reason.
 */
export async function readJson<Value>(
  server: Server,
  path: string,
  schema: z.ZodType<Value>,
  options: ReadOptions,
): Promise<Value | null> {
  const { timeoutMs, body } = options;
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(timeoutMs)]);
  try {
    const limits = { firstByteMs: timeoutMs, stallMs: timeoutMs, signal };
    const answer = await ask(server, path, body === undefined ? limits : { ...limits, body });
    const text = await readText(answer, factsBytesMax);
    if (answer.status !== 200) return null;
    const parsed = schema.safeParse(jsonOrNull(text));
    return parsed.success ? parsed.data : null;
  } catch (error) {
    options.signal.throwIfAborted();
    if (signal.aborted) {
      const message = `has not answered within ${timeoutMs} ms`;
      throw new TransportError("late", message, { cause: error });
    }
    throw error;
  }
}
