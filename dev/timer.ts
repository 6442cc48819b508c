import type { Miniflare } from "miniflare";

/** As the cron trigger of `wrangler.toml` has it. */
const everyMs = 5 * 60_000;
const cron = "*/5 * * * *";

/**
 * What Cloudflare's timer does for an edge: the ledger is audited, and what a killed edge left half
 * done of money is finished. At once, as a start may follow a crash, and then every few minutes.
 */
export function startTimer(miniflare: Miniflare): AsyncDisposable {
  let running = Promise.resolve();
  const run = () => {
    running = running.then(() => runOnce(miniflare));
  };
  run();
  const timer = setInterval(run, everyMs);
  timer.unref();
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await running;
    },
  };
}

async function runOnce(miniflare: Miniflare): Promise<void> {
  try {
    const edge = await miniflare.getWorker("edge");
    await edge.scheduled({ cron });
  } catch {
    // The edge logs what it could not do; a runtime that is just being replaced is asked again.
  }
}
