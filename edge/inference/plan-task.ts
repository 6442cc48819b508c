import { assert } from "../../shared/assert.ts";
import { OctoError } from "../../shared/errors.ts";
import type { Ability, Demands } from "../../shared/openai/demands.ts";
import type { OctoOptions } from "../../shared/openai/octo-options.ts";
import { type PriceMax, type RoutingDemands, routingDemands } from "../../shared/openai/routing.ts";
import { newId } from "../../shared/ids.ts";
import type { TokenCounts } from "../../shared/money.ts";
import { modelCaller } from "../authenticate.ts";
import type { Caller, Context } from "../context.ts";
import { agreeTerms } from "./agree-terms.ts";
import { affinityKey } from "./placing/affinity-key.ts";
import { chooseAnywhere } from "./placing/choose-anywhere.ts";
import { currentTariff } from "./current-tariff.ts";
import type { HubQuery } from "./placing/choose-hub.ts";
import { viewOfAll } from "../directory/network-view.ts";
import { engineBody, type InferenceRequest, isGeneration } from "./engine-request.ts";
import { namesOfDigest } from "./placing/named-offers.ts";
import { ownHubs } from "./placing/own-hubs.ts";
import { resultShapeOf } from "./results/result-shape.ts";
import { routedRequest } from "./placing/routing-options.ts";
import type { InferenceTask } from "./task.ts";
import { boundsOf } from "./token-bounds.ts";

/** A task that is ready to be held for and run, but for its ticket. */
export interface Plan {
  readonly task: Omit<InferenceTask, "ticket">;
  readonly hubIds: readonly string[];
  /** The most tokens that it can use, whatever bounds them. */
  readonly tokensMax: TokenCounts;
  /** The names of its model, where it is asked for by digest: limits go by name. */
  readonly alsoNamed: readonly string[];
}

/** Whatever own workers ask of others, they cost less than any limit. */
const anyPrice: PriceMax = { inputMicrosPerMillion: null, outputMicrosPerMillion: null };

/**
 * Chooses hubs and fixes the terms of one task. Where hubs of the caller's own workers are given,
 * it goes to those workers alone, for nothing; the same where the request includes its own account
 * and nobody else.
 */
export async function planTask(
  ctx: Context,
  asking: Caller,
  asked: InferenceRequest,
  ownHubIds: readonly string[] | null = null,
): Promise<Plan> {
  const { keyId } = asking;
  assert(keyId !== null, "inference takes an API key");
  const { wanted, options } = await routedRequest(ctx, asking, asked);
  const caller = await modelCaller(ctx, asking, wanted.request.model);
  const routed = routingDemands(options, await affinityKey(caller.accountId, wanted));
  const { model } = wanted.request;
  const isOwnAsked = routed.routing.include?.every((id) => id === caller.accountId) ?? false;
  const own = isOwnAsked || ownHubIds !== null;
  const hubIds = ownHubIds ?? (isOwnAsked ? await askedHubs(ctx, caller, model) : null);
  const priceMax = own ? anyPrice : routed.priceMax;
  const query = { ...queryOf(ctx, wanted, { ...routed, priceMax }), hubIds };
  const [choice, tariff] = await Promise.all([chooseAnywhere(ctx, query), currentTariff(ctx)]);
  const body = engineBody(wanted);
  const bounds = boundsOf(wanted, body, choice);
  const task = {
    id: newId("tsk"),
    kind: wanted.kind,
    accountId: caller.accountId,
    keyId,
    model: query.model,
    body,
    ...mannerOf(wanted),
    demands: [...query.demands.fieldByAbility.keys()],
    ...bounds,
    result: resultShapeOf(wanted),
    weights: query.weights,
    routing: query.routing,
    ...patienceOf(options),
    class: query.class,
    region: ctx.region,
    createdMs: Date.now(),
    attemptsBefore: 0,
    earlierAttempts: [],
  };
  const completionTokensMax = bounds.completionTokensMax ?? choice.contextTokens * task.choices;
  const agreement = {
    ...task,
    strategy: query.routing.strategy,
    completionTokensMax,
    price: choice.price,
    own,
  };
  const terms = agreeTerms(caller, agreement, tariff);
  const tokensMax = {
    promptTokens: bounds.promptTokensMax,
    completionTokens: completionTokensMax,
  };
  const alsoNamed = await namesIn(ctx, query.model);
  return { task: { ...task, terms }, hubIds: choice.hubIds, tokensMax, alsoNamed };
}

/** Where nothing is known of own workers yet, any hub may have one that has just come. */
async function askedHubs(
  ctx: Context,
  { accountId }: Caller,
  model: string,
): Promise<readonly string[] | null> {
  const hubIds = await ownHubs(ctx, { accountId, model });
  return hubIds.length === 0 ? null : hubIds;
}

async function namesIn(ctx: Context, model: string): Promise<readonly string[]> {
  return model.startsWith("sha256:") ? namesOfDigest(model, await viewOfAll(ctx)) : [];
}

/** How long the consumer waits, and what it does about it. */
function patienceOf(options: OctoOptions): Pick<InferenceTask, "mode" | "hedge" | "resume"> {
  const { mode = "realtime", hedge = false, resume = false } = options;
  return { mode, hedge, resume };
}

/** How the answer is to come; a document comes whole, on the one choice it has. */
function mannerOf(
  wanted: InferenceRequest,
): Pick<InferenceTask, "streamed" | "usageChunk" | "choices"> {
  if (!isGeneration(wanted)) return { streamed: false, usageChunk: false, choices: 1 };
  const { stream, stream_options: options, n } = wanted.request;
  return {
    streamed: stream === true,
    usageChunk: options?.include_usage === true,
    choices: n ?? 1,
  };
}

/** What to look for among the hubs; throws where no worker of any could serve. */
function queryOf(
  ctx: Context,
  { kind, request, demands }: InferenceRequest,
  { require, ...routed }: RoutingDemands,
): Omit<HubQuery, "hubIds"> {
  if (demands.refused !== null) {
    const { param, reason } = demands.refused;
    throw new OctoError("unsupported_parameter", `Cannot honour ${param}: ${reason}`, { param });
  }
  const { model } = request;
  return { kind, model, demands: withRequired(demands, require), region: ctx.region, ...routed };
}

/** What the request itself needs keeps its own field's name in errors. */
function withRequired(demands: Demands, require: readonly Ability[]): Demands {
  if (require.length === 0) return demands;
  const required = require.map((ability) => [ability, "octo.require"] as const);
  return { ...demands, fieldByAbility: new Map([...required, ...demands.fieldByAbility]) };
}
