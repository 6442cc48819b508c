import type { GenerateTask } from "./engine.ts";
import { EngineError } from "./engine.ts";

/**
 * How many tokens one choice may have: what the request allows, and at most what the context has
 * left. Throws `context_length_exceeded` where the prompt leaves no room for one token.
 */
export function tokenLimit(
  task: GenerateTask,
  promptTokens: number,
  contextTokens: number,
): number {
  const room = contextTokens - promptTokens;
  if (room < 1) {
    throw new EngineError(
      "context_length_exceeded",
      `Cannot answer a prompt of ${promptTokens} tokens: the context holds ${contextTokens} ` +
        `tokens, and the answer needs at least one of them`,
    );
  }
  const { max_tokens: older } = task.request;
  const wanted = (task.kind === "chat" ? task.request.max_completion_tokens : null) ?? older;
  return Math.min(wanted ?? room, room);
}
