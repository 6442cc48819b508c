import { rateHeaderNames } from "./rate-headers.ts";
import { requiredHeader, responseHeader } from "./x402/wire.ts";

/** Any page may call with its user's own key; cookies are never involved, so any origin is safe. */
const anyOrigin = "*";

const exposed = [
  "x-octo-task",
  "x-octo-worker",
  "x-octo-model-digest",
  "x-octo-region",
  "x-octo-attempts",
  "x-octo-strategy",
  "x-request-id",
  "server-timing",
  "retry-after",
  ...rateHeaderNames,
  requiredHeader.toLowerCase(),
  responseHeader.toLowerCase(),
].join(", ");

/**
 * Lets a page read an answer. The headers are changed in place: a copy of every response costs too
 * much.
 */
export function allowAnyOrigin(headers: Headers): void {
  headers.set("access-control-allow-origin", anyOrigin);
  headers.set("access-control-expose-headers", exposed);
}

/** The answer to a browser that asks before it sends; it may remember it for a day. */
export function preflight(request: Request): Response {
  return new Response(null, {
    status: 204,
    headers: {
      "access-control-allow-origin": anyOrigin,
      "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE",
      "access-control-allow-headers":
        request.headers.get("access-control-request-headers") ?? "authorization, content-type",
      "access-control-max-age": "86400",
      vary: "access-control-request-headers",
    },
  });
}
