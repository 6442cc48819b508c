import type { Figure } from "../figure.ts";
import { measureBesidePortkey } from "../relay/beside-portkey.ts";
import { measureCancel } from "../relay/cancel.ts";
import { measurePaced } from "../relay/paced.ts";
import { startRelayScene } from "../relay/scene.ts";
import { measureThroughput } from "../relay/throughput.ts";

/**
 * What relaying costs, with everything on (authentication, hold, routing, relay, settlement,
 * receipts): short replies from an engine that answers at once and streams at an engine's pace,
 * beside bare workerd passing on the same bytes; replies beside another gateway; and what a client
 * that leaves costs its worker.
 */
export async function relay(progress: (line: string) => void): Promise<readonly Figure[]> {
  return [...(await measureFlow(progress)), ...(await measureCancel(progress))];
}

async function measureFlow(progress: (line: string) => void): Promise<Figure[]> {
  progress("starting the network with a synthetic worker …");
  await using scene = await startRelayScene({ workers: 1 });
  const figures: Figure[] = [];
  for (const measure of [measureThroughput, measurePaced, measureBesidePortkey]) {
    figures.push(...(await measure(scene, progress)));
  }
  return figures;
}
