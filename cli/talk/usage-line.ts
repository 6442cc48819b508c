import type { EdgeClient } from "../http/edge-client.ts";
import { EdgeError } from "../http/edge-error.ts";
import { taskSchema } from "../http/answers.ts";
import { count, credits, span } from "../screen/in-words.ts";
import type { Answer } from "./stream-answer.ts";

/** Costs reach the books in groups, a moment after the answer. */
const bookedWithinMs = 5_000;
const pollMs = 250;

/** What an answer cost, once the books have it; null where that takes too long. */
export async function costOf(
  client: EdgeClient,
  taskId: string,
  nowMs: () => number,
): Promise<number | null> {
  if (taskId === "") return null;
  const untilMs = nowMs() + bookedWithinMs;
  for (;;) {
    try {
      const path = `/api/v1/tasks/${encodeURIComponent(taskId)}`;
      return (await client.get(path, taskSchema)).cost_micros;
    } catch (error) {
      if (!(error instanceof EdgeError && error.status === 404)) throw error;
      if (nowMs() > untilMs) return null;
      await client.pause(pollMs);
    }
  }
}

/** Tokens, time, cost, and where to look further. */
export function usageLine(answer: Answer, costMicros: number | null): string {
  const { usage, firstTokenMs, tookMs, taskId } = answer;
  const first = firstTokenMs === null ? "" : `, the first after ${span(firstTokenMs)}`;
  const tokens =
    usage === null
      ? "tokens unknown"
      : `${count(usage.prompt_tokens)} tokens read, ${count(usage.completion_tokens)} written`;
  const cost = costMicros === null ? "cost not in the books yet" : `${credits(costMicros)} credits`;
  return `${tokens}; ${span(tookMs)}${first}; ${cost}; ${taskId}`;
}
