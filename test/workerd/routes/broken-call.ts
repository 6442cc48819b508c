import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import worker from "../../../edge/worker.ts";
import type { Env } from "../../../edge/env.ts";
import { env } from "./edge-client.ts";

/** How a batch fails: before it is stored, or when it was and its answer is lost. */
export const databaseFailures = ["is away", "commits without answering"] as const;

/**
 * Calls the Worker as the key's owner, and breaks off: of all batches to the database, the one with
 * this number fails, and every one behind it, as for an edge that died there. Gives whether it came
 * so far.
 */
export async function brokenCall(
  route: string,
  at: { readonly batch: number; readonly how: (typeof databaseFailures)[number] },
  request: { readonly key: string | null; readonly body: string | null; headers?: HeadersInit },
): Promise<boolean> {
  const [method = "", path = ""] = route.split(" ");
  let sent = 0;
  const fetch = async (batch: Request): Promise<Response> => {
    const real = env.LIBSQL;
    if (real === undefined) throw new Error("tests reach their database by a binding");
    // Before its first batch a client asks which protocol is spoken.
    if (batch.method === "POST") sent += 1;
    if (sent < at.batch) return real.fetch(batch);
    if (sent === at.batch && at.how === "commits without answering") {
      await (await real.fetch(batch)).arrayBuffer();
    }
    throw new Error("the edge died");
  };
  const broken: Env = { ...env, LIBSQL: { fetch } as unknown as Fetcher };
  const headers = new Headers(request.headers);
  if (request.key !== null) headers.set("authorization", `Bearer ${request.key}`);
  const ctx = createExecutionContext();
  const call = new Request(`https://edge.test${path}`, { method, body: request.body, headers });
  const response = await worker.fetch(call, broken, ctx);
  await response.arrayBuffer();
  await waitOnExecutionContext(ctx);
  return sent >= at.batch;
}
