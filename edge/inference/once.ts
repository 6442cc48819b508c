import { z } from "zod";
import { sha256Hex } from "../../shared/crypto/bytes.ts";
import { OctoError } from "../../shared/errors.ts";
import type { Caller, Context } from "../context.ts";
import { accountObject } from "../objects.ts";
import { rateHeaderNames } from "../rate-headers.ts";
import { doneEvent } from "./stream-events.ts";

/** A stored row holds at most 2 MB; a longer answer is not repeated but made anew. */
const replyCharsMax = 1_500_000;

const replySchema = z.object({
  headers: z.array(z.tuple([z.string(), z.string()])),
  body: z.string(),
});

/**
 * Runs a request once for its idempotency key: the same request again gets the same answer and
 * costs nothing; while the first runs, and for another body under the same key, it is refused. Only
 * whole successes are remembered.
 */
export async function once(
  ctx: Context,
  caller: Caller,
  claim: { readonly key: string; readonly request: string },
  run: () => Promise<Response>,
): Promise<Response> {
  if (!/^[\x21-\x7e]{1,255}$/.test(claim.key)) {
    throw new OctoError("invalid_request", "Idempotency-Key: 1 to 255 visible ASCII characters");
  }
  const account = accountObject(ctx.env, caller.accountId);
  const requestHash = await sha256Hex(claim.request);
  const state = await account.claimReply(claim.key, requestHash);
  switch (state.kind) {
    case "answered":
      return repeated(ctx, state.reply);
    case "running":
      throw new OctoError("idempotency_conflict", "A request with this Idempotency-Key is running");
    case "mismatch":
      throw new OctoError(
        "idempotency_conflict",
        "This Idempotency-Key was used with another request; use a new key",
      );
    case "claimed":
      break;
  }
  const finish = (reply: string | null) => account.finishReply(claim.key, requestHash, reply);
  let response: Response;
  try {
    response = await run();
  } catch (error) {
    await finish(null);
    throw error;
  }
  if (response.body === null) return response;
  const [toConsumer, toStore] = response.body.tee();
  ctx.waitUntil(keep(new Response(toStore, response)).then(finish));
  return new Response(toConsumer, response);
}

/** What to repeat, or null where the answer broke off or is too long to keep. */
async function keep(response: Response): Promise<string | null> {
  let body = "";
  try {
    const decoder = new TextDecoder();
    for await (const bytes of response.body ?? []) {
      body += decoder.decode(bytes, { stream: true });
      // Reading on would gather in memory what the consumer has not read yet.
      if (body.length > replyCharsMax) return null;
    }
    body += decoder.decode();
  } catch {
    // The consumer left and the answer with it.
    return null;
  }
  const streamed = response.headers.get("content-type")?.startsWith("text/event-stream") === true;
  if (streamed && !body.endsWith(doneEvent)) return null;
  return JSON.stringify({ headers: [...response.headers], body });
}

function repeated(ctx: Context, reply: string): Response {
  const { headers, body } = replySchema.parse(JSON.parse(reply));
  const response = new Response(body, { headers });
  response.headers.set("x-request-id", ctx.requestId);
  // What was left then; a repeated answer takes nothing.
  for (const name of rateHeaderNames) response.headers.delete(name);
  response.headers.set("idempotency-replayed", "true");
  return response;
}
