import { utf8 } from "../../../shared/crypto/bytes.ts";
import type { TokenLogprob } from "../../../shared/openai/output.ts";

/** OpenAI's stand-in for "minus infinity", which JSON cannot carry. */
const leastLogprob = -9999;

export interface TokenNames<Token> {
  /** The token's text alone, U+FFFD for bytes that are no character. */
  text(token: Token): string;
  /** The token's own bytes where its text cannot tell them; null where they are not known. */
  bytes(token: Token): number[] | null;
}

/**
 * OpenAI's entry for a chosen token. `probabilities` are those the token was drawn by, most likely
 * first, after temperature; the logarithms given are of the distribution before temperature (p^T,
 * normalised), over the tokens that top_k, top_p, min_p and a grammar left.
 */
export function tokenLogprob<Token>(
  token: Token,
  probabilities: ReadonlyMap<Token, number>,
  options: {
    readonly temperature: number;
    readonly alternatives: number;
    readonly names: TokenNames<Token>;
  },
): TokenLogprob {
  const { temperature, alternatives, names } = options;
  const exponent = temperature > 0 ? temperature : 1;
  const logTotal = exponent === 1 ? 0 : Math.log(sumOfPowers(probabilities, exponent));
  const entry = (one: Token, probability: number) => {
    const text = names.text(one);
    const logprob = Math.max(leastLogprob, Math.log(probability) * exponent - logTotal);
    const bytes = text.includes("\uFFFD") ? names.bytes(one) : [...utf8(text)];
    return { token: text, logprob, bytes };
  };
  const top: TokenLogprob["top_logprobs"] = [];
  for (const [one, probability] of probabilities) {
    if (top.length >= alternatives) break;
    top.push(entry(one, probability));
  }
  return { ...entry(token, probabilities.get(token) ?? 0), top_logprobs: top };
}

function sumOfPowers(probabilities: ReadonlyMap<unknown, number>, exponent: number): number {
  let sum = 0;
  for (const probability of probabilities.values()) sum += probability ** exponent;
  return sum;
}
