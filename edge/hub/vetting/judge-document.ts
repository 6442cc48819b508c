import { readResult, resultFault, vectorOf } from "../../inference/results/result-fault.ts";
import type { ResultShape } from "../../inference/results/result-shape.ts";

/**
 * What is wrong with an answer that is one document, as a sentence, or null. The inputs of
 * preflight.ts hold two that are equal, because that equal inputs are answered alike is the
 * engine's part; how the answer to one of them looks is the model's.
 */
export function documentFault(shape: ResultShape, text: string): string | null {
  const fault = resultFault(shape, text);
  if (fault !== null) return `its answer is wrong: ${fault}`;
  switch (shape.kind) {
    case "embedding": {
      const read = readResult("embedding", text);
      return read.kind === "fault" ? read.fault : vectorsFault(read.result.vectors);
    }
    case "rerank": {
      const read = readResult("rerank", text);
      return read.kind === "fault" ? read.fault : scoresFault(read.result.scores);
    }
    case "classification": {
      const read = readResult("classification", text);
      return read.kind === "fault" ? read.fault : labelsFault(read.result.labels);
    }
    case "transcription": {
      const read = readResult("transcription", text);
      return read.kind === "fault" ? read.fault : durationFault(read.result.duration_s);
    }
    case "image":
      return null;
  }
}

/**
 * Engines add up in another order where inputs share a batch, so equal inputs are equal to this
 * share only.
 */
const likeness = 0.01;

/** The inputs were a text twice and another. */
function vectorsFault(encoded: readonly string[]): string | null {
  const [first, second, third] = encoded.map(vectorOf);
  if (!first || !second || !third) return "it does not give a vector for each input";
  const length = Math.hypot(...first);
  if (length === 0 || !Number.isFinite(length)) return "its vectors have no length";
  if (distance(first, second) > likeness * length) {
    return "two equal texts have two different vectors";
  }
  return distance(first, third) === 0 ? "two different texts have the same vector" : null;
}

function distance(a: Float32Array, b: Float32Array): number {
  return Math.hypot(...a.map((value, at) => value - (b[at] ?? 0)));
}

/** The documents were another text, and the query itself twice. */
function scoresFault(scores: readonly number[]): string | null {
  const [, second = 0, third = 0] = scores;
  return Math.abs(second - third) > likeness ? "two equal documents have two scores" : null;
}

/** The input was a text twice. */
function labelsFault(
  labels: readonly (readonly { readonly label: string; readonly score: number }[])[],
): string | null {
  const [first = [], second = []] = labels;
  const isOrdered = first.every(({ score }, at) => score <= (first[at - 1]?.score ?? 1));
  if (!isOrdered) return "its labels do not come the likeliest first";
  const scores = new Map(second.map(({ label, score }) => [label, score]));
  const isSame = first.every(
    ({ label, score }) => Math.abs((scores.get(label) ?? 0) - score) <= likeness,
  );
  return isSame ? null : "two equal texts have two different labels";
}

/** The audio was a second long; engines that work in blocks of 30 s may say so. */
const durationMaxS = 31;

function durationFault(seconds: number): string | null {
  return seconds > durationMaxS ? `it hears ${seconds} s in one second` : null;
}
