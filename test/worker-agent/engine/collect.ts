import type { TokenLogprob } from "../../../shared/openai/output.ts";
import type { ChatRequest } from "../../../shared/openai/chat-request.ts";
import { chatRequestSchema } from "../../../shared/openai/chat-request.ts";
import { completionRequestSchema } from "../../../shared/openai/completion-request.ts";
import type { CompletionRequest } from "../../../shared/openai/completion-request.ts";
import type { Engine, EngineEvent, GenerateTask } from "../../../worker-agent/engine/engine.ts";

/** A chat task of one user message, validated as the edge would. */
export function chat(prompt: string, fields: Partial<ChatRequest> = {}): GenerateTask {
  const messages = [{ role: "user", content: prompt }];
  const request = chatRequestSchema.parse({ model: "test", messages, ...fields });
  return { kind: "chat", request };
}

export function completion(prompt: string, fields: Partial<CompletionRequest> = {}): GenerateTask {
  return {
    kind: "completion",
    request: completionRequestSchema.parse({ model: "test", prompt, ...fields }),
  };
}

export interface Collected {
  readonly events: EngineEvent[];
  readonly texts: string[];
  readonly tokens: number[];
  readonly logprobs: TokenLogprob[];
  readonly end: Extract<EngineEvent, { kind: "end" }>;
}

/** Runs a task to its end. Fails unless exactly one `end` comes, and comes last. */
export async function collect(
  engine: Engine,
  task: GenerateTask,
  signal: AbortSignal = new AbortController().signal,
  onPart: (parts: number) => void = () => {},
): Promise<Collected> {
  const events: EngineEvent[] = [];
  const texts: string[] = [];
  const tokens: number[] = [];
  const logprobs: TokenLogprob[] = [];
  for await (const event of engine.generate(task, signal)) {
    events.push(event);
    if (event.kind === "end") continue;
    const { index, text = "" } = event.part;
    texts[index] = (texts[index] ?? "") + text;
    tokens[index] = (tokens[index] ?? 0) + event.part.tokens;
    logprobs.push(...(event.part.logprobs ?? []));
    onPart(events.length);
  }
  const ends = events.filter((event) => event.kind === "end");
  const end = events.at(-1);
  if (ends.length !== 1 || end?.kind !== "end") throw new Error("A generation ends exactly once");
  return { events, texts, tokens, logprobs, end };
}
