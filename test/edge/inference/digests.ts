import type { HubDigest, ModelDigest } from "../../../edge/directory/digest.ts";
import { chooseHub, type HubQuery } from "../../../edge/inference/placing/choose-hub.ts";
import { OctoError } from "../../../shared/errors.ts";
import type { Ability } from "../../../shared/openai/demands.ts";
import { weightDemands } from "../../../shared/openai/octo-options.ts";
import { defaultRouting } from "../../../shared/openai/routing.ts";

/** Made-up digests of hubs, and what is asked of them. */

export const weights = "d".repeat(64);

export function model(changes: Partial<ModelDigest> = {}): ModelDigest {
  const price = { inputMicrosPerMillion: 10, outputMicrosPerMillion: 20 };
  return {
    model: "m",
    digest: weights,
    architecture: "llama",
    quantization: "Q8_0",
    parameterCount: 1,
    contextTokens: 1_000,
    workers: 1,
    slots: 1,
    freeSlots: 1,
    lowestPrice: price,
    lowestSides: changes.lowestPrice ?? price,
    highestPrice: price,
    classCeiling: "public",
    bestReputation: 50,
    lowestFirstTokenMs: changes.measured?.firstTokenMs ?? null,
    roundTripMs: 20,
    identity: "content",
    bitsPerWeight: 8.5,
    declared: null,
    measured: null,
    abilities: ["chat"],
    abilitySets: [["chat"]],
    ...changes,
  };
}

export function hub(hubId: string, ...models: readonly ModelDigest[]): HubDigest {
  return { hubId, region: "weur", atMs: 0, sessions: 1, sessionsMax: 10, models };
}

export function query(
  changes: Partial<HubQuery> = {},
  abilities: readonly Ability[] = ["chat"],
): HubQuery {
  const fieldByAbility = new Map(abilities.map((ability) => [ability, `field of ${ability}`]));
  return {
    model: "m",
    demands: { fieldByAbility, refused: null },
    class: "public",
    weights: weightDemands(null),
    kind: "chat",
    routing: defaultRouting,
    priceMax: { inputMicrosPerMillion: null, outputMicrosPerMillion: null },
    region: "weur",
    hubIds: null,
    ...changes,
  };
}

export function price(each: number) {
  return { inputMicrosPerMillion: each, outputMicrosPerMillion: each };
}

/** What a consumer is told where no hub can serve. */
export function failure(of: HubQuery, digests: readonly HubDigest[]): OctoError {
  try {
    chooseHub(of, digests, () => 0);
  } catch (error) {
    if (error instanceof OctoError) return error;
  }
  throw new Error("nothing was refused");
}
