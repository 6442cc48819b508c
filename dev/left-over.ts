/** It is on this machine: it answers at once, or is no edge of ours. */
const answersWithinMs = 1_000;

/**
 * Whether the runtime of a network that was killed still listens there. Its database was in the
 * process that was killed, so it is alive and not ready, as no network is that runs.
 */
export async function isLeftOver(url: string): Promise<boolean> {
  const [health, ready] = await Promise.all([
    statusOf(`${url}/healthz`),
    statusOf(`${url}/readyz`),
  ]);
  return health === 200 && ready === 503;
}

async function statusOf(url: string): Promise<number | null> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(answersWithinMs) });
    await response.body?.cancel();
    return response.status;
  } catch {
    // Nobody listens there, or nobody who speaks HTTP.
    return null;
  }
}
