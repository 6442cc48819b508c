import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { Network } from "../dev/network.ts";

/** A killed process is listed again in two seconds; a slow machine takes longer. */
const listedWithinMs = 60_000;
const pollMs = 100;
/** What an edge sees of its hubs is a second old at most: for so long some requests find nobody. */
const seenWithinMs = 2_000;

const modelSchema = z.object({ octo: z.object({ workers: z.int() }) });

/**
 * Resolves once so many workers of a model are listed and every request finds them, which is a
 * moment later.
 */
export async function untilListed(network: Network, model: string, workers: number): Promise<void> {
  const headers = { authorization: `Bearer ${network.consumer.apiKey}` };
  const deadlineMs = Date.now() + listedWithinMs;
  for (;;) {
    const response = await fetch(`${network.url}/v1/models/${model}`, { headers });
    const answer: unknown = await response.json();
    if (response.ok && modelSchema.parse(answer).octo.workers >= workers) break;
    if (Date.now() > deadlineMs) {
      throw new Error(`${model} has no ${workers} workers after ${listedWithinMs} ms`);
    }
    await sleep(pollMs);
  }
  await sleep(seenWithinMs);
}
