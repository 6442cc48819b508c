import type { FinishReason, TokenLogprob } from "../../../shared/openai/output.ts";
import type { TokenNames } from "./embedded-logprobs.ts";
import { tokenLogprob } from "./embedded-logprobs.ts";
import type { GrammarState, LoadedModel, Step, TokenId } from "./embedded-model.ts";
import type { Plan } from "./embedded-plan.ts";
import { EngineError } from "../engine.ts";
import type { PartEvent } from "../part-assembler.ts";
import { PartAssembler } from "../part-assembler.ts";
import { tokenBytes } from "../token-bytes.ts";
import { TokenDecoder } from "../token-decoder.ts";
import { toolCallGrammar } from "../tools/tool-grammar.ts";
import { ToolWatch } from "../tools/tool-watch.ts";

export interface AnswerSources<Compiled, Grammar extends GrammarState> {
  readonly loaded: LoadedModel<Compiled, Grammar>;
  compile(grammar: string): Promise<Compiled>;
}

/** One choice's answer as its tokens come: text, calls, the grammar, and when it is over. */
export class EmbeddedAnswer<Compiled, Grammar extends GrammarState> {
  /** The tokens of the whole answer, a given beginning included. */
  readonly made: TokenId[];
  readonly #plan: Plan<Compiled>;
  readonly #sources: AnswerSources<Compiled, Grammar>;
  readonly #assembler: PartAssembler;
  readonly #decoder: TokenDecoder<TokenId>;
  readonly #watch: ToolWatch | null;
  readonly #given: number;
  #grammar: Grammar | null;
  #reason: FinishReason | null = null;

  constructor(plan: Plan<Compiled>, sources: AnswerSources<Compiled, Grammar>, index: number) {
    const { prefix, tools, sampling } = plan;
    const { loaded } = sources;
    this.#plan = plan;
    this.#sources = sources;
    this.made = [...(prefix?.tokens ?? [])];
    this.#given = this.made.length;
    this.#assembler = new PartAssembler(index, sampling.stops, prefix ?? undefined);
    const textOf = (tokens: readonly TokenId[], before: readonly TokenId[]): string =>
      loaded.text(tokens, before);
    this.#decoder = new TokenDecoder<TokenId>(textOf, this.made);
    this.#watch = tools && new ToolWatch(tools.format, tools.names, tools.plan.mode === "required");
    this.#grammar = plan.grammar === null ? null : loaded.beginGrammar(plan.grammar);
    for (const token of this.made) {
      if (this.#grammar === null || this.#grammar.accept(token)) continue;
      const message =
        "Cannot continue the answer: its beginning breaks the form that was asked for";
      throw new EngineError("invalid_request", message);
    }
    if (this.made.length >= plan.tokensMax) this.#reason = "length";
  }

  /** How many tokens are new. */
  get newTokens(): number {
    return this.made.length - this.#given;
  }

  /** How it ended by itself; null while it goes on. */
  get reason(): FinishReason | null {
    return this.#reason;
  }

  /** The grammar in force for the next token. */
  get grammar(): Grammar | null {
    return this.#grammar;
  }

  /** Whether the text so far begins a call whose grammar has to be put in force before the next. */
  get isAtCall(): boolean {
    return this.#watch?.beginning !== undefined && this.#watch.beginning !== null;
  }

  /**
   * Whether another token surely follows this one, but for a stop sequence: a call that may begin
   * has to put its grammar in force first.
   */
  goesOnAfter(token: TokenId): boolean {
    if (this.#watch !== null && !this.#watch.isCalling) return false;
    if (this.made.length + 1 >= this.#plan.tokensMax) return false;
    return !this.#plan.endTokens.has(token) && !this.#sources.loaded.isEnd(token);
  }

  /** Takes one token; the part that may leave now, if any. */
  push({ token, probabilities }: Step): PartEvent | null {
    if (this.#plan.endTokens.has(token) || this.#sources.loaded.isEnd(token)) {
      this.#end();
      return null;
    }
    this.made.push(token);
    const part =
      this.#watch === null
        ? this.#plain(token, probabilities)
        : this.#watched(token, this.#watch, probabilities);
    if (this.#assembler.isStopped) this.#reason = "stop";
    else if (this.made.length >= this.#plan.tokensMax) this.#reason ??= "length";
    return part;
  }

  /** Puts the grammar of a call in force, or goes on with text where it is no call. */
  async enterCall(): Promise<PartEvent | null> {
    const { tools } = this.#plan;
    const beginning = this.#watch?.beginning;
    if (!tools || !beginning || this.#watch === null) return null;
    if (!tools.isInGrammar) {
      const text = toolCallGrammar(tools.plan, tools.format, { lead: beginning.lead });
      const compiled = await this.#sources.compile(text);
      const grammar = this.#sources.loaded.beginGrammar(compiled);
      if (!beginning.tokens.every((token) => grammar.accept(token))) {
        return this.#assembler.append(this.#watch.ignore());
      }
      this.#grammar = grammar;
    }
    return this.#assembler.append("", this.#watch.begin());
  }

  /** The model ended it by a token of its own. */
  #end(): void {
    this.#reason ??= this.#watch?.hasCalls === true ? "tool_calls" : "stop";
  }

  /** What is left once nothing more comes. `isEnded` where the model ended the answer. */
  finish(isEnded: boolean): PartEvent | null {
    if (isEnded) this.#end();
    const text = this.#decoder.finish();
    if (this.#watch === null) return this.#assembler.finish(text);
    const { content, calls } = this.#watch.finish(text);
    const part = calls.length > 0 ? this.#assembler.append(content, calls) : null;
    return part ?? this.#assembler.finish(content);
  }

  #plain(token: TokenId, probabilities: Step["probabilities"]): PartEvent | null {
    const logprob = probabilities === undefined ? null : this.#logprob(token, probabilities);
    return this.#assembler.add({ id: token, text: this.#decoder.push(token), logprob });
  }

  #watched(
    token: TokenId,
    watch: ToolWatch,
    probabilities: Step["probabilities"],
  ): PartEvent | null {
    const { loaded } = this.#sources;
    const text = loaded.toolMarks.has(token) ? loaded.tokenText(token) : this.#decoder.push(token);
    const { content, calls } = watch.push(token, text);
    const { tools } = this.#plan;
    if (tools && watch.isComplete(tools.plan.isParallel)) this.#reason = "tool_calls";
    // Log probabilities are of content: OpenAI gives none for calls.
    const isContent = probabilities !== undefined && !watch.isCalling;
    const logprob = isContent ? this.#logprob(token, probabilities) : null;
    return this.#assembler.add({ id: token, text: content, logprob, calls });
  }

  #logprob(token: TokenId, probabilities: ReadonlyMap<TokenId, number>): TokenLogprob | null {
    const { alternatives, temperature } = this.#plan.sampling;
    if (alternatives === null) return null;
    const { loaded } = this.#sources;
    const { tokens, kind } = loaded.vocabulary;
    const names: TokenNames<TokenId> = {
      text: (one) => loaded.tokenText(one),
      bytes: (one) => tokenBytes(tokens[one] ?? "", kind),
    };
    return tokenLogprob(token, probabilities, { temperature, alternatives, names });
  }
}
