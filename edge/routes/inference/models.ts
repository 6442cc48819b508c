import { Hono } from "hono";
import { OctoError } from "../../../shared/errors.ts";
import { z } from "zod";
import type { AppEnv } from "../../app-env.ts";
import { mayAsk } from "../../authenticate.ts";
import type { Caller } from "../../context.ts";
import { measuredSpeeds, type ModelDigest } from "../../directory/digest.ts";
import { viewOfAll } from "../../directory/network-view.ts";
import { isNamed } from "../../inference/placing/named-offers.ts";
import type { RouteDescription } from "../../openapi/description.ts";
import { modelListSchema, modelSchema } from "../../openapi/openai-answers.ts";
import { countedCaller } from "../active-caller.ts";

/** `GET /v1/models`: what the network serves just now, from the hubs' own digests. */
export const modelRoutes = new Hono<AppEnv>()
  .get("/models", async (c) => {
    const caller = await countedCaller(c);
    return c.json({ object: "list", data: await modelsFor(c.get("ctx"), caller) });
  })
  // Model names hold slashes and colons, so the rest of the path is the name.
  .get("/models/:name{.+}", async (c) => {
    const caller = await countedCaller(c);
    const name = c.req.param("name");
    const models = await modelsFor(c.get("ctx"), caller, (model) => isNamed(model, name));
    const model = models[0];
    if (model === undefined) {
      throw new OctoError("model_not_found", `The model ${name} is not offered`, {
        param: "model",
      });
    }
    return c.json(model);
  });

export const modelDescriptions: readonly RouteDescription[] = [
  {
    name: "listModels",
    method: "get",
    path: "/v1/models",
    summary: "List the models that can be asked for now",
    access: "any key",
    answer: modelListSchema,
  },
  {
    name: "readModel",
    method: "get",
    path: "/v1/models/:name{.+}",
    summary: "Read one model, by name or `sha256:` digest",
    access: "any key",
    params: z.strictObject({ name: z.string() }),
    answer: modelSchema,
    errors: ["model_not_found"],
  },
];

type ListedModel = z.infer<typeof modelSchema>;

/** The models that the caller's key may ask for, by their names or their digests. */
export function modelsFor(
  ctx: AppEnv["Variables"]["ctx"],
  caller: Caller,
  wanted: (model: ModelDigest) => boolean = () => true,
): Promise<ListedModel[]> {
  const isAllowed = ({ model, digest }: ModelDigest) => mayAsk(caller, model, `sha256:${digest}`);
  return modelsNow(ctx, (model) => wanted(model) && isAllowed(model));
}

/** One entry a name and digest, over all hubs. */
async function modelsNow(
  ctx: AppEnv["Variables"]["ctx"],
  wanted: (model: ModelDigest) => boolean,
): Promise<ListedModel[]> {
  const byKey = new Map<string, { models: ModelDigest[]; regions: Set<string> }>();
  for (const hub of await viewOfAll(ctx, true)) {
    for (const model of hub.models.filter(wanted)) {
      const key = `${model.model}\n${model.digest}`;
      const entry = byKey.get(key) ?? { models: [], regions: new Set() };
      entry.models.push(model);
      entry.regions.add(hub.region);
      byKey.set(key, entry);
    }
  }
  return [...byKey.values()]
    .map(({ models, regions }) => listedModel(models, [...regions].toSorted()))
    .toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

function listedModel(models: readonly ModelDigest[], regions: string[]): ListedModel {
  const [first] = models as [ModelDigest, ...ModelDigest[]];
  const sum = (pick: (model: ModelDigest) => number) =>
    models.reduce((total, model) => total + pick(model), 0);
  const least = (pick: (model: ModelDigest) => number) => Math.min(...models.map(pick));
  return {
    id: first.model,
    object: "model",
    // When a model came to an open network says nothing about it; OpenAI's clients want a number.
    created: 0,
    owned_by: "cipherocto",
    octo: {
      digest: `sha256:${first.digest}`,
      architecture: first.architecture,
      quantization: first.quantization,
      // What one of its workers only declares is not known by content.
      identity: models.every(({ identity }) => identity === "content") ? "content" : "declared",
      bits_per_weight: first.bitsPerWeight,
      parameter_count: first.parameterCount,
      context_tokens: Math.max(...models.map((model) => model.contextTokens)),
      input_micros_per_million: least((model) => model.lowestPrice.inputMicrosPerMillion),
      output_micros_per_million: least((model) => model.lowestPrice.outputMicrosPerMillion),
      abilities: [...new Set(models.flatMap((model) => model.abilities))].toSorted(),
      regions,
      workers: sum((model) => model.workers),
      slots: sum((model) => model.slots),
      free_slots: sum((model) => model.freeSlots),
      declared: declaredOf(models),
      measured: measuredOf(models),
    },
  };
}

/** Of several hubs, the one with most workers that say how fast they are. */
function declaredOf(models: readonly ModelDigest[]): ListedModel["octo"]["declared"] {
  const [most] = models
    .filter(({ declared }) => declared !== null)
    .toSorted((a, b) => b.workers - a.workers);
  const declared = most?.declared ?? null;
  if (declared === null) return null;
  return {
    first_token_ms: rounded(declared.firstTokenMs),
    prompt_tokens_per_s: rounded(declared.promptTokensPerS),
    decode_tokens_per_s: rounded(declared.decodeTokensPerS),
  };
}

function measuredOf(models: readonly ModelDigest[]): ListedModel["octo"]["measured"] {
  const measured = measuredSpeeds(models.flatMap((model) => model.measured ?? []));
  if (measured === null) return null;
  const { firstTokenMs, decodeTokensPerS, successShare, samples } = measured;
  return {
    first_token_ms: firstTokenMs === null ? null : rounded(firstTokenMs),
    decode_tokens_per_s: decodeTokensPerS === null ? null : rounded(decodeTokensPerS),
    success_share: Math.round(successShare * 1000) / 1000,
    samples,
  };
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}
