import { AssertionError } from "../shared/assert.ts";
import { errorRules, OctoError } from "../shared/errors.ts";
import { describeError } from "../shared/log.ts";
import { edgeLog } from "./log.ts";

/**
 * What leaves for an error: OpenAI's shape, and nothing of an exception that was not written for
 * the caller.
 */
export function errorResponse(error: unknown, requestId: string): Response {
  const known = error instanceof OctoError ? error : internal(error, requestId);
  const rule = errorRules[known.code];
  const headers = new Headers(known.headers);
  headers.set("content-type", "application/json");
  headers.set("x-request-id", requestId);
  if (known.retryAfterS !== null) headers.set("retry-after", String(known.retryAfterS));
  else if (rule.retry === "later") headers.set("retry-after", "1");
  // OpenAI's clients repeat 409, 429 and 5xx unless they are told not to.
  headers.set("x-should-retry", rule.retry === "later" ? "true" : "false");
  const body = {
    error: {
      message: known.message,
      type: rule.type,
      param: known.param,
      code: known.code,
    },
  };
  return new Response(JSON.stringify(body), { status: rule.status, headers });
}

function internal(error: unknown, requestId: string): OctoError {
  if (isReset(error)) {
    const message = "A part of the network was restarted under this request; try again";
    return new OctoError("unavailable", message, { cause: error, retryAfterS: 1 });
  }
  const bug = error instanceof AssertionError;
  edgeLog("error", bug ? "a belief did not hold" : "unexpected error", {
    request: requestId,
    error: describeError(error),
  });
  return new OctoError("internal", `Something failed on our side; ask us about ${requestId}`);
}

/** A Durable Object that went away under a call: the platform marks such errors. */
export function isReset(error: unknown): boolean {
  if (typeof error !== "object" || error === null) return false;
  const marks = error as {
    retryable?: unknown;
    overloaded?: unknown;
    durableObjectReset?: unknown;
  };
  return marks.retryable === true || marks.overloaded === true || marks.durableObjectReset === true;
}
