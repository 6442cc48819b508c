/**
 * Text of tokens, where `before` are the tokens that preceded them (some tokenizers write spaces by
 * it).
 */
export type Detokenize<Token> = (tokens: readonly Token[], before: readonly Token[]) => string;

/**
 * A character has at most four bytes, so that more tokens than this cannot be the beginning of one.
 */
const pendingMax = 4;
/** What tokenizers look back at to decide about a space. */
const beforeMax = 4;
const replacement = "\uFFFD";

/**
 * Text from tokens as they come, in whole characters: a token that ends within one waits for the
 * tokens that complete it. Bytes that never become a character come out as U+FFFD, as everywhere.
 */
export class TokenDecoder<Token> {
  readonly #detokenize: Detokenize<Token>;
  #pending: Token[] = [];
  #before: readonly Token[];

  constructor(detokenize: Detokenize<Token>, before: readonly Token[] = []) {
    this.#detokenize = detokenize;
    this.#before = before.slice(-beforeMax);
  }

  push(token: Token): string {
    this.#pending.push(token);
    const text = this.#detokenize(this.#pending, this.#before);
    if (text.endsWith(replacement) && this.#pending.length < pendingMax) return "";
    this.#before = [...this.#before, ...this.#pending].slice(-beforeMax);
    this.#pending = [];
    return text;
  }

  /** What is left at the end, without a character that was never completed. */
  finish(): string {
    const text = this.#detokenize(this.#pending, this.#before);
    this.#pending = [];
    return text.replace(/\uFFFD+$/, "");
  }
}
