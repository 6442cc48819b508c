import { setTimeout as sleep } from "node:timers/promises";
import type { z } from "zod";
import { taskDetailSchema } from "../../edge/routes/inference/task-schema.ts";
import type { Network } from "../../dev/network.ts";

export type BookedTask = z.infer<typeof taskDetailSchema>;

/** Settlements reach the books in groups, a second after an answer's end at most. */
const bookedWithinMs = 15_000;
const pollMs = 100;

/** A task as the books have it, once they do; null where they never hear of it. */
export async function bookedTask(network: Network, id: string): Promise<BookedTask | null> {
  const headers = { authorization: `Bearer ${network.consumer.apiKey}` };
  const deadlineMs = Date.now() + bookedWithinMs;
  for (;;) {
    const response = await fetch(`${network.url}/api/v1/tasks/${id}`, { headers });
    if (response.ok) return taskDetailSchema.parse(await response.json());
    await response.body?.cancel();
    if (Date.now() > deadlineMs) return null;
    await sleep(pollMs);
  }
}

/** Whether the consumer pays for exactly these tokens, each credited to the worker that made it. */
export function isPaid(task: BookedTask | null, tokens: number): boolean {
  if (task === null || task.state !== "settled" || task.completion_tokens !== tokens) return false;
  const made = task.attempts.reduce((sum, attempt) => sum + attempt.tokens, 0);
  return made === tokens;
}

/** How many workers made tokens that the consumer got. */
export function payees(task: BookedTask | null): number {
  const paid = task?.attempts.filter(({ tokens }) => tokens > 0) ?? [];
  return new Set(paid.map((attempt) => attempt.worker_id)).size;
}
