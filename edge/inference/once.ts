import { z } from "zod";
import { assert } from "../../shared/assert.ts";
import { sha256Hex } from "../../shared/crypto/bytes.ts";
import { OctoError } from "../../shared/errors.ts";
import { assertMay, modelCaller, renewedCaller, wrongKey } from "../authenticate.ts";
import type { ReplyClaim } from "../billing/replies.ts";
import type { Caller, Context } from "../context.ts";
import { accountObject } from "../objects.ts";
import { rateHeaderNames } from "../rate-headers.ts";
import type { InferenceRequest } from "./engine-request.ts";
import { routedRequest } from "./placing/routing-options.ts";
import { doneEvent } from "./stream-events.ts";

/** A stored row holds at most 2 MB; a longer answer is not repeated but made anew. */
const replyCharsMax = 1_500_000;

const replySchema = z.object({
  headers: z.array(z.tuple([z.string(), z.string()])),
  body: z.string(),
});

/** A request under an idempotency key. */
export interface OnceRequest {
  readonly key: string;
  /** Tells it from others under the same key. */
  readonly request: string;
  readonly wanted: InferenceRequest;
}

/**
 * Runs a request once for its idempotency key: the same request again gets the same answer and
 * costs nothing; while the first runs, and for another body under the same key, it is refused. Only
 * whole successes are remembered, and repeated to whoever could ask for them now.
 */
export async function once(
  ctx: Context,
  caller: Caller,
  claim: OnceRequest,
  run: () => Promise<Response>,
): Promise<Response> {
  if (!/^[\x21-\x7e]{1,255}$/.test(claim.key)) {
    throw new OctoError("invalid_request", "Idempotency-Key: 1 to 255 visible ASCII characters");
  }
  const account = accountObject(ctx.env, caller.accountId);
  const requestHash = await sha256Hex(claim.request);
  const state = await claimOf(ctx, caller, claim, requestHash);
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

/**
 * Claims the idempotency key. Where there is an answer to repeat, the caller's key is asked what a
 * hold asks of it otherwise: the Account says with the claim whether it still may be used, and by
 * settings that old; and the model is one of its own, as another key of the account may have asked.
 */
async function claimOf(
  ctx: Context,
  asking: Caller,
  { key, wanted }: OnceRequest,
  requestHash: string,
): Promise<ReplyClaim> {
  const { accountId, keyId } = asking;
  assert(keyId !== null, "inference takes an API key");
  let caller = asking;
  for (;;) {
    const by = { keyId, changes: caller.key?.changes ?? 0 };
    const state = await accountObject(ctx.env, accountId).claimReply(key, requestHash, by);
    if (state.kind === "ended") throw wrongKey();
    if (state.kind !== "changed") {
      if (state.kind === "answered") await assertMayAsk(ctx, caller, wanted);
      return state;
    }
    // Once for each change that happens meanwhile.
    caller = await renewedCaller(ctx, keyId, state.changes);
    assertMay(caller, "inference");
  }
}

async function assertMayAsk(ctx: Context, caller: Caller, wanted: InferenceRequest): Promise<void> {
  const routed = await routedRequest(ctx, caller, wanted);
  await modelCaller(ctx, caller, routed.wanted.request.model);
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
