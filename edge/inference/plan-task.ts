import { OctoError } from "../../shared/errors.ts";
import { weightDemands } from "../../shared/openai/octo-options.ts";
import { newId } from "../../shared/ids.ts";
import { defaultSplit } from "../../shared/money.ts";
import { limitOf } from "../billing/account-state.ts";
import { holdMs, type Terms } from "../billing/ticket.ts";
import type { Caller, Context } from "../context.ts";
import { viewOf, viewOfAll } from "../directory/network-view.ts";
import { chooseHub, type HubChoice, type HubQuery } from "./choose-hub.ts";
import { engineBody, type InferenceRequest, isGeneration } from "./engine-request.ts";
import { resultShapeOf } from "./result-shape.ts";
import type { InferenceTask } from "./task.ts";
import { boundsOf } from "./token-bounds.ts";

/** A task that is ready to be held for and run, but for its ticket. */
export interface Plan {
  readonly task: Omit<InferenceTask, "ticket">;
  readonly hubIds: readonly string[];
}

/** Chooses hubs and fixes the terms of one task. */
export async function planTask(
  ctx: Context,
  caller: Caller,
  wanted: InferenceRequest,
): Promise<Plan> {
  const { request } = wanted;
  const query = queryOf(wanted);
  const choice = await chooseAnywhere(ctx, query);
  const body = engineBody(wanted);
  const bounds = boundsOf(wanted, body, choice);
  const createdMs = Date.now();
  const id = newId("tsk");
  const manner = mannerOf(wanted);
  const terms: Terms = {
    v: 1,
    task: id,
    account: caller.accountId,
    key: caller.keyId,
    kind: wanted.kind,
    model: request.model,
    region: ctx.region,
    streamed: manner.streamed,
    limit: limitOf(
      {
        promptTokensMax: bounds.promptTokensMax,
        completionTokensMax: bounds.completionTokensMax ?? choice.contextTokens * manner.choices,
      },
      choice.price,
    ).toString(),
    input_micros_per_million: choice.price.inputMicrosPerMillion,
    output_micros_per_million: choice.price.outputMicrosPerMillion,
    split: defaultSplit,
    created_ms: createdMs,
    expires_ms: createdMs + holdMs,
  };
  const task = {
    id,
    kind: wanted.kind,
    accountId: caller.accountId,
    keyId: caller.keyId,
    model: request.model,
    body,
    ...manner,
    demands: [...wanted.demands.fieldByAbility.keys()],
    ...bounds,
    result: resultShapeOf(wanted),
    weights: query.weights,
    class: query.class,
    region: ctx.region,
    createdMs,
    attemptsBefore: 0,
    earlierAttempts: [],
    terms,
  };
  return { task, hubIds: choice.hubIds };
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
function queryOf({ request, demands }: InferenceRequest): HubQuery {
  if (demands.refused !== null) {
    const { param, reason } = demands.refused;
    throw new OctoError("unsupported_parameter", `Cannot honour ${param}: ${reason}`, { param });
  }
  const weights = weightDemands(request.octo);
  return { model: request.model, demands, class: "public", weights };
}

/**
 * The consumer's own region first, then all of them, then all of them asked anew: a worker may just
 * have come.
 */
async function chooseAnywhere(ctx: Context, query: HubQuery): Promise<HubChoice> {
  const views = [() => viewOf(ctx, ctx.region), () => viewOfAll(ctx), () => viewOfAll(ctx, true)];
  let failure: unknown;
  for (const view of views) {
    try {
      return chooseHub(query, await view(), Math.random);
    } catch (error) {
      if (!(error instanceof OctoError)) throw error;
      failure = error;
    }
  }
  throw failure;
}
