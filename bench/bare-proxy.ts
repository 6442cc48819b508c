import { once } from "node:events";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { Worker } from "node:worker_threads";
import { compatibility } from "../dev/edge.ts";

/**
 * The limit of any relay on this runtime: bare workerd that passes an upstream's stream on, with no
 * look at it. The upstream is a Node server that sends the very bytes our own edge sent for the
 * same request, in as many pieces.
 */
export interface BareProxy extends AsyncDisposable {
  readonly url: string;
}

const script = `export default {
  async fetch(request, env) {
    const headers = { "content-type": "application/json" };
    return fetch(env.UPSTREAM, { method: "POST", body: await request.text(), headers });
  },
};`;

export async function startBareProxy(pieces: readonly string[]): Promise<BareProxy> {
  const upstream = new Worker(new URL("./upstream-thread.ts", import.meta.url), {
    workerData: pieces,
  });
  const [port] = (await once(upstream, "message")) as [number];
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      host: "127.0.0.1",
      port: 0,
      logRequests: false,
      cf: false,
      workers: [
        {
          name: "bare",
          modules: [{ type: "ESModule", path: "bare.js", contents: script }],
          ...compatibility,
          bindings: { UPSTREAM: `http://127.0.0.1:${port}/` },
        },
      ],
    }),
  );
  const url = (await miniflare.ready).origin;
  return {
    url,
    async [Symbol.asyncDispose]() {
      await miniflare.dispose();
      await upstream.terminate();
    },
  };
}
