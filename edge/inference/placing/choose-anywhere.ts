import { OctoError } from "../../../shared/errors.ts";
import type { Context } from "../../context.ts";
import type { HubDigest } from "../../directory/digest.ts";
import {
  digestsOfBefore,
  isPartOfTheNetworkUnknown,
  livingHubs,
  viewOf,
  viewsByDistance,
} from "../../directory/network-view.ts";
import { isNamed } from "./named-offers.ts";
import { chooseHub, type HubChoice, type HubQuery } from "./choose-hub.ts";

/**
 * The hubs for a request: of the consumer's own region where one there can serve at once, else of
 * the nearest region that can; where all are busy, of the nearest that could. Where none could, all
 * are asked anew, as a worker may just have come, and hubs that were found gone count too, as they
 * are back at once and their workers soon after.
 */
export async function chooseAnywhere(ctx: Context, query: HubQuery): Promise<HubChoice> {
  const own = chooseIn(query, livingHubs(await viewOf(ctx, ctx.region)));
  if (own?.isFree === true) return own;
  let busy = own;
  for (const view of viewsByDistance(ctx)) {
    const choice = chooseIn(query, livingHubs(await view));
    if (choice?.isFree === true) return choice;
    busy ??= choice;
  }
  if (busy !== null) return busy;
  const all: HubDigest[] = [];
  for (const view of viewsByDistance(ctx, true)) {
    const digests = await view;
    const choice = chooseIn(query, digests);
    if (choice !== null) return choice;
    all.push(...digests);
  }
  if (isPartOfTheNetworkUnknown()) {
    throw maybeSoon(`Nobody is known to offer ${query.model}, and a directory does not answer`);
  }
  if (!isOffered(query.model, all) && isOffered(query.model, digestsOfBefore())) {
    throw maybeSoon(`All workers with ${query.model} have left within the last minute`);
  }
  // It throws, and says of all regions together why.
  return chooseHub(query, all, Math.random);
}

function isOffered(name: string, digests: readonly HubDigest[]): boolean {
  return digests.some(({ models }) => models.some((model) => isNamed(model, name)));
}

function maybeSoon(message: string): OctoError {
  return new OctoError("unavailable", `${message}: try again in a moment`, { retryAfterS: 2 });
}

/** Null where no hub of these can serve. */
function chooseIn(query: HubQuery, digests: readonly HubDigest[]): HubChoice | null {
  if (digests.length === 0) return null;
  try {
    return chooseHub(query, digests, Math.random);
  } catch (error) {
    if (!(error instanceof OctoError)) throw error;
    return null;
  }
}
