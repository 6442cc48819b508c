import { OctoError } from "../../shared/errors.ts";
import type { Micros } from "../../shared/money.ts";
import type { Context } from "../context.ts";
import { errorResponse } from "../http-errors.ts";
import { requirementsOf } from "../x402/requirements.ts";
import type { X402Settings } from "../x402/settings.ts";
import { encodeHeader, requiredHeader } from "../x402/wire.ts";

/** What a request costs, told to whoever has not paid for it: OpenAI's error, and x402's header. */
export async function priceTold(
  ctx: Context,
  { settings, micros }: { readonly settings: X402Settings; readonly micros: Micros },
  reason: string,
): Promise<Response> {
  const { origin, pathname } = new URL(ctx.url);
  const told = {
    x402Version: 2,
    resource: {
      url: `${origin}${pathname}`,
      description: "One inference",
      mimeType: "application/json",
    },
    accepts: [requirementsOf(settings, micros)],
  };
  const refused = errorResponse(new OctoError("insufficient_quota", reason), ctx.requestId);
  const body = { ...(await refused.json<Record<string, unknown>>()), ...told };
  const { headers, status } = refused;
  headers.set(requiredHeader, encodeHeader({ ...told, error: reason }));
  // The price is of now.
  headers.set("cache-control", "no-store");
  return new Response(JSON.stringify(body), { status, headers });
}
