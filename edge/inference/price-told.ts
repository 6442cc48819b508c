import { OctoError } from "../../shared/errors.ts";
import type { Micros } from "../../shared/money.ts";
import type { Context } from "../context.ts";
import { errorResponse } from "../http-errors.ts";
import { offersOf, requirementsOf } from "../x402/requirements.ts";
import type { X402Settings } from "../x402/settings.ts";
import { encodeHeader, requiredHeader } from "../x402/wire.ts";

export interface Price {
  readonly settings: X402Settings;
  /** The most that the request can cost. */
  readonly micros: Micros;
  /** What the payer owes beside it: only a transfer before the task makes that good. */
  readonly lacking: Micros;
}

/** What a request costs, told to whoever has not paid for it: OpenAI's error, and x402's header. */
export async function priceTold(
  ctx: Context,
  { settings, micros, lacking }: Price,
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
    accepts:
      lacking > 0n ? [requirementsOf(settings, micros + lacking)] : offersOf(settings, micros),
  };
  const refused = errorResponse(new OctoError("insufficient_quota", reason), ctx.requestId);
  const body = { ...(await refused.json<Record<string, unknown>>()), ...told };
  const { headers, status } = refused;
  headers.set(requiredHeader, encodeHeader({ ...told, error: reason }));
  // The price is of now.
  headers.set("cache-control", "no-store");
  return new Response(JSON.stringify(body), { status, headers });
}
