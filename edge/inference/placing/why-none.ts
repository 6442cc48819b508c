import { OctoError } from "../../../shared/errors.ts";
import type { Ability } from "../../../shared/openai/demands.ts";
import { weightFault } from "../../../shared/openai/octo-options.ts";
import { strategies } from "../../../shared/openai/strategies.ts";
import { kindByAbility } from "../../../shared/openai/task-kinds.ts";
import type { HubDigest, ModelDigest } from "../../directory/digest.ts";
import type { HubQuery } from "./choose-hub.ts";
import type { Offer } from "./named-offers.ts";
import { beyondLimits } from "../why-beyond-limits.ts";

/**
 * What makes another model of a model. Where nobody has one of these there is nothing to ask for;
 * any other ability is a parameter that can be left out.
 */
const natures: ReadonlySet<Ability> = new Set<Ability>([
  ...kindByAbility.keys(),
  "tools",
  "vision",
  "audio_input",
  "audio_output",
]);

/** Names that fit an error one reads; the rest are in `GET /v1/models`. */
const namesMax = 20;

/**
 * Why no hub can serve: what is missing, and who or what could do instead. `offers` are all of the
 * model that was asked for.
 */
export function whyNone(
  query: HubQuery,
  digests: readonly HubDigest[],
  offers: readonly Offer[],
): OctoError {
  const named = offers.map(({ model }) => model);
  const models = digests.flatMap((hub) => hub.models);
  const [sort] = [...query.demands.fieldByAbility.keys()].filter((ability) =>
    kindByAbility.has(ability),
  );
  const ofSort = models.filter((model) => sort === undefined || model.abilities.includes(sort));
  if (models.length > 0 && ofSort.length === 0)
    return offeredByNobody(String(sort), models, "model");
  if (named.length === 0) {
    const offered = models.length === 0 ? "no models just now" : listed(namesOf(ofSort));
    const message = `The model ${query.model} is not offered; the network offers ${offered}`;
    const toWhom = sort === undefined || sort === "chat" ? "" : ` for ${sort}`;
    const hint = suffixHint(query.model, ofSort);
    return new OctoError(
      "model_not_found",
      `${message}${models.length === 0 ? "" : toWhom}${hint}`,
      {
        param: "model",
      },
    );
  }
  for (const [ability, field] of query.demands.fieldByAbility) {
    if (named.some((model) => model.abilities.includes(ability))) continue;
    const others = namesOf(ofSort.filter((model) => model.abilities.includes(ability)));
    if (ability === sort) {
      const message = `${query.model} does not offer ${ability}; ${listed(others)} ${verb(others)}`;
      return new OctoError("model_not_found", message, { param: "model" });
    }
    if (ability.startsWith("audio:")) return unheard(query.model, ability, named, others);
    if (others.length === 0 && natures.has(ability)) return offeredByNobody(ability, models, field);
    const instead = others.length === 0 ? "" : `; ${listed(others)} can`;
    const message = `No worker with ${query.model} can do what ${field} asks for (${ability})`;
    return new OctoError("unsupported_parameter", `${message}${instead}`, { param: field });
  }
  const unmet = tooLight(query, named) ?? beyondLimits(query, offers);
  if (unmet !== null) return unmet;
  const fields = [...query.demands.fieldByAbility.values()].join(", ");
  return new OctoError(
    "unsupported_parameter",
    `No single worker with ${query.model} can do all of ${fields} for ${query.class} tasks`,
  );
}

/** Whoever misspelt a strategy behind a name that is offered is told which there are. */
function suffixHint(name: string, models: readonly ModelDigest[]): string {
  const plain = name.slice(0, Math.max(0, name.lastIndexOf(":")));
  if (!models.some(({ model }) => model === plain)) return "";
  return `; behind the colon of ${plain}:… may be ${strategies.join(", ")}`;
}

/** A file that no worker of the model reads: what it could be instead, or who reads it. */
function unheard(
  model: string,
  ability: Ability,
  named: readonly ModelDigest[],
  others: readonly string[],
): OctoError {
  const offered = [...new Set(named.flatMap((one) => one.abilities))].filter((one) =>
    one.startsWith("audio:"),
  );
  const formats = offered.map(formatOf).toSorted();
  const reads = formats.length === 0 ? "nothing that is known" : listed(formats);
  const instead = others.length === 0 ? "" : `; ${listed(others)} can`;
  const message = `No worker with ${model} reads ${formatOf(ability)} files; it reads ${reads}`;
  return new OctoError("unsupported_parameter", `${message}${instead}`, { param: "file" });
}

function formatOf(ability: Ability): string {
  return ability.slice("audio:".length);
}

/** What is demanded of the weights, where that alone is missing. */
function tooLight(query: HubQuery, named: readonly ModelDigest[]): OctoError | null {
  const faults = new Set(named.map((model) => weightFault(query.weights, model)));
  if (faults.has(null)) return null;
  const offered = new Set(
    named.map(({ quantization, bitsPerWeight }) => {
      const bits = bitsPerWeight === null ? "unknown" : Math.round(bitsPerWeight * 10) / 10;
      return `${quantization} (${bits} bits a weight)`;
    }),
  );
  const isUnread = faults.size === 1 && faults.has("identity");
  const message = isUnread
    ? `No worker with ${query.model} has read the files of the model; leave octo.identity out`
    : `No worker has ${query.model} at ${query.weights.bitsMin} bits a weight or more, ` +
      `as octo.min_quantization demands; it is offered as ${listed([...offered].toSorted())}`;
  return new OctoError("unsupported_parameter", message, { param: "octo" });
}

function offeredByNobody(
  ability: string,
  models: readonly ModelDigest[],
  param: string,
): OctoError {
  // An engine's own fields say nothing to whoever looks for a model.
  const offered = new Set(models.flatMap((model) => model.abilities));
  const known = [...offered].filter((one) => !one.startsWith("param:")).toSorted();
  const message = `Nobody offers ${ability} just now; the network offers ${listed(known)}`;
  return new OctoError("model_not_found", message, { param });
}

function namesOf(models: readonly ModelDigest[]): readonly string[] {
  return [...new Set(models.map(({ model }) => model))].toSorted();
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, namesMax).join(", ");
  return names.length <= namesMax ? shown : `${shown} and ${names.length - namesMax} more`;
}

function verb(names: readonly string[]): string {
  return names.length === 1 ? "does" : "do";
}
