import { EngineError } from "../engine.ts";

/** How sure a model is, from the logit of one class against its absence. */
function sigmoid(logit: number): number {
  return 1 / (1 + Math.exp(-logit));
}

/** Probabilities of classes that exclude each other. */
export function softmax(logits: readonly number[]): number[] {
  const top = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - top));
  const sum = powers.reduce((all, one) => all + one, 0);
  return powers.map((power) => power / sum);
}

/**
 * How relevant a document is, 0 to 1: of one logit its sigmoid, of two labels the probability of
 * the second, which is the relevant one in every cross-encoder that has two.
 */
export function relevance(logits: readonly number[]): number {
  const [first, second] = logits;
  if (logits.length === 1 && first !== undefined) return sigmoid(first);
  if (logits.length === 2 && second !== undefined) return softmax(logits)[1] ?? 0;
  const message = `Cannot rank: the model gives ${logits.length} scores a pair instead of 1 or 2`;
  throw new EngineError("engine_failed", message);
}

/** Labels with their probabilities, the likeliest first. */
export function rankLabels(
  logits: readonly number[],
  { labels, isMultiLabel }: { readonly labels: readonly string[]; readonly isMultiLabel: boolean },
): { label: string; score: number }[] {
  const isAlone = isMultiLabel || logits.length === 1;
  const scores = isAlone ? logits.map(sigmoid) : softmax(logits);
  return scores
    .map((score, at) => ({ label: labels[at] ?? `LABEL_${at}`, score }))
    .toSorted((a, b) => b.score - a.score);
}

/** A vector cut to `length` and brought to unit length again, as Matryoshka embeddings are. */
export function shorten(vector: Float32Array, length: number): Float32Array {
  return toUnit(vector.slice(0, length));
}

/** The vector in its direction with the length 1; a vector of nothing stays so. */
export function toUnit(vector: Float32Array): Float32Array {
  let squares = 0;
  for (const value of vector) squares += value * value;
  const length = Math.sqrt(squares);
  return length === 0 ? vector : vector.map((value) => value / length);
}

/** Little-endian floats as base64, the form in which vectors travel. */
export function vectorToBase64(vector: Float32Array): string {
  const bytes = Buffer.alloc(4 * vector.length);
  for (const [at, value] of vector.entries()) bytes.writeFloatLE(value, 4 * at);
  return bytes.toString("base64");
}
