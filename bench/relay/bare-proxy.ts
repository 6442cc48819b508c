import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { compatibility } from "../../dev/edge.ts";
import { workerdPids } from "../process-cpu.ts";
import type { Reply } from "../load/reply.ts";
import { startUpstream } from "./upstream.ts";

/**
 * The limit of any relay on this runtime: bare workerd that passes an upstream's stream on, with no
 * look at it. The upstream is a Node server that sends the very bytes our own edge sent for the
 * same request, in as many pieces.
 */
export interface BareProxy extends AsyncDisposable {
  readonly url: string;
  /** Its workerd, where the system lists processes in /proc. */
  readonly pid: number | null;
}

const script = `export default {
  async fetch(request, env) {
    const headers = { "content-type": "application/json" };
    return fetch(env.UPSTREAM, { method: "POST", body: await request.text(), headers });
  },
};`;

export async function startBareProxy(reply: Reply): Promise<BareProxy> {
  await using started = new AsyncDisposableStack();
  const upstream = started.use(await startUpstream(reply));
  const before = await workerdPids();
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
          bindings: { UPSTREAM: `${upstream.url}/` },
        },
      ],
    }),
  );
  started.defer(() => miniflare.dispose());
  const url = (await miniflare.ready).origin;
  const pid = (await workerdPids()).find((one) => !before.includes(one)) ?? null;
  const running = started.move();
  return { url, pid, [Symbol.asyncDispose]: () => running.disposeAsync() };
}
