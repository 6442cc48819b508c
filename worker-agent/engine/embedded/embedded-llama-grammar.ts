import type { Llama, LlamaGrammar, LlamaModel, Token } from "node-llama-cpp";
import { assert } from "../../../shared/assert.ts";
import type { GrammarState } from "./embedded-model.ts";

type Library = typeof import("node-llama-cpp");
export type LibraryGrammarState = InstanceType<Library["LlamaGrammarEvaluationState"]>;

/** The part of the library's binding that lets a grammar take tokens which no sampler chose. */
interface SamplerBinding {
  canBeNextTokenForGrammarEvaluationState(state: unknown, token: Token): boolean;
  acceptGrammarEvaluationStateToken(state: unknown, token: Token): void;
}

export class EmbeddedGrammar implements GrammarState {
  readonly state: LibraryGrammarState;
  readonly #llama: Llama;

  constructor(library: Library, model: LlamaModel, grammar: LlamaGrammar) {
    this.state = new library.LlamaGrammarEvaluationState({ model, grammar });
    this.#llama = model.llama;
  }

  accept(token: Token): boolean {
    const { _bindings } = this.#llama as unknown as {
      readonly _bindings?: { readonly AddonSampler?: SamplerBinding };
    };
    const { _state } = this.state as unknown as { readonly _state?: unknown };
    const sampler = _bindings?.AddonSampler;
    assert(sampler !== undefined && _state !== undefined, "node-llama-cpp 3.22 keeps its bindings");
    if (!sampler.canBeNextTokenForGrammarEvaluationState(_state, token)) return false;
    sampler.acceptGrammarEvaluationStateToken(_state, token);
    return true;
  }
}
