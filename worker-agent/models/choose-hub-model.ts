import type { HubModel } from "./hub-list.ts";
import { inMebibytes } from "./memory.ts";
import { ModelError } from "./model-error.ts";

/**
 * What a file is worth for its size, the best first. Above Q8_0 nothing is gained that could be
 * told; below Q4_K_M answers suffer, so those are for machines where nothing better fits.
 */
const preference: readonly string[] = [
  "Q8_0",
  "Q6_K",
  "Q5_K_M",
  "Q5_K_S",
  "Q4_K_M",
  "MXFP4",
  "MXFP4_MOE",
  "Q4_K_S",
  "IQ4_NL",
  "IQ4_XS",
  "Q4_1",
  "Q4_0",
  "Q3_K_L",
  "Q3_K_M",
  "IQ3_M",
  "IQ3_S",
  "Q3_K_S",
  "IQ3_XS",
  "IQ3_XXS",
  "Q2_K",
  "IQ2_M",
  "IQ2_S",
  "IQ2_XS",
  "IQ2_XXS",
  "F16",
  "BF16",
  "F32",
];

export interface HubChoice {
  readonly model: HubModel;
  /** Why this one, for the provider. */
  readonly reason: string;
}

/**
 * The model of a repository that was asked for, or else the best whose weights leave room for the
 * rest. Throws ModelError with the choices where there is none.
 */
export function chooseHubModel(
  models: readonly HubModel[],
  wish: { readonly name: string; readonly quantization: string | null },
  memory: { readonly freeBytes: number; readonly besideWeightsBytes: number },
): HubChoice {
  const { name, quantization } = wish;
  if (models.length === 0) {
    throw new ModelError("bad_source", `Cannot use ${name}: it has no GGUF model`);
  }
  if (quantization !== null) {
    const found = models.filter((model) => model.quantization === quantization);
    const [model] = found;
    if (model !== undefined) return { model, reason: "it was asked for" };
    const known = `it has no ${quantization}, but ${choicesInWords(models)}`;
    throw new ModelError("bad_source", `Cannot use ${name}: ${known}`);
  }
  const room = memory.freeBytes - memory.besideWeightsBytes;
  const ranked = models.toSorted((a, b) => rankOf(a) - rankOf(b) || b.bytes - a.bytes);
  const model = ranked.find(({ bytes }) => bytes <= room);
  if (model === undefined) {
    throw new ModelError(
      "does_not_fit",
      `Cannot load ${name}: ${inMebibytes(memory.freeBytes)} of memory are free, ` +
        `${inMebibytes(memory.besideWeightsBytes)} of which its context and decoding need, and ` +
        `its choices are ${choicesInWords(models)}; use fewer --slots or less --context, ` +
        "or name one with :QUANTIZATION",
    );
  }
  const better = ranked.indexOf(model);
  const reason =
    better === 0
      ? `the best there is, ${inMebibytes(model.bytes)}`
      : `the best that fits ${inMebibytes(room)}, with ${inMebibytes(model.bytes)}`;
  return { model, reason };
}

/** The largest of the others that fits, for a sentence; null where none does. */
export function smallerInWords(
  models: readonly HubModel[],
  room: number,
  ownBytes: number,
): string | null {
  const fitting = models.filter(({ bytes }) => bytes <= room && bytes < ownBytes);
  const [best] = fitting.toSorted((a, b) => rankOf(a) - rankOf(b));
  if (best === undefined) return null;
  return `take ${best.quantization ?? best.file} (${inMebibytes(best.bytes)})`;
}

function rankOf({ quantization }: HubModel): number {
  const rank = preference.indexOf(quantization ?? "");
  if (rank >= 0) return rank;
  // A variant of a known one, say Q4_K_XL, comes right after it; the unknown comes last.
  const bits = /^I?Q\d/.exec(quantization ?? "")?.[0];
  const near = preference.findLastIndex((known) => bits !== undefined && known.startsWith(bits));
  return near >= 0 ? near + 0.5 : preference.length;
}

function choicesInWords(models: readonly HubModel[]): string {
  const shown = models.toSorted((a, b) => a.bytes - b.bytes).slice(0, shownMax);
  const words = shown.map(
    ({ quantization, file, bytes }) => `${quantization ?? file} (${inMebibytes(bytes)})`,
  );
  const rest = models.length - shown.length;
  return words.join(", ") + (rest > 0 ? ` and ${rest} more` : "");
}

/** More do not fit a sentence. */
const shownMax = 24;
