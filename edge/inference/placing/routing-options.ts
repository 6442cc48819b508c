import type { OctoOptions } from "../../../shared/openai/octo-options.ts";
import { mergeOptions, strategySuffix } from "../../../shared/openai/routing.ts";
import type { Caller, Context } from "../../context.ts";
import type { HubDigest } from "../../directory/digest.ts";
import { viewOf, viewOfAll } from "../../directory/network-view.ts";
import { isNamed } from "./named-offers.ts";
import type { InferenceRequest } from "../engine-request.ts";

/** A request under the plain name of its model, and all that is asked of its routing. */
export interface RoutedRequest {
  readonly wanted: InferenceRequest;
  readonly options: OctoOptions;
}

/**
 * What a request asks of its routing: in its own field `octo` (with which the route has merged its
 * headers), then by its model's suffix, then by the defaults of its account. The suffix is taken
 * off: an engine gets the model's own name.
 */
export async function routedRequest(
  ctx: Context,
  caller: Caller,
  wanted: InferenceRequest,
): Promise<RoutedRequest> {
  const { octo, model } = wanted.request;
  const suffix = strategySuffix(model);
  if (suffix === null || (await isListed(ctx, model))) {
    return { wanted, options: mergeOptions([octo, caller.routing]) };
  }
  const options = mergeOptions([octo, { strategy: suffix.strategy }, caller.routing]);
  const request = { ...wanted.request, model: suffix.model };
  return { wanted: { ...wanted, request } as InferenceRequest, options };
}

/** Names may hold colons, so a listing of the whole name is meant rather than a strategy. */
async function isListed(ctx: Context, name: string): Promise<boolean> {
  const isIn = (digests: readonly HubDigest[]) =>
    digests.some((hub) => hub.models.some((model) => isNamed(model, name)));
  return isIn(await viewOf(ctx, ctx.region)) || isIn(await viewOfAll(ctx));
}
