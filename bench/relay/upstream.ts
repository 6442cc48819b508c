import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { Reply } from "../load/reply.ts";

/** A server on a thread of its own that answers every POST with the same event stream. */
export interface Upstream extends AsyncDisposable {
  readonly url: string;
}

export async function startUpstream(reply: Reply): Promise<Upstream> {
  const thread = new Worker(new URL("./upstream-thread.ts", import.meta.url), {
    workerData: reply,
  });
  const [port] = (await once(thread, "message")) as [number];
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      await thread.terminate();
    },
  };
}
