import type { ChatPrompt } from "./embedded-prompt.ts";
import { historyOf } from "./embedded-prompt.ts";
import type { GrammarState, LoadedModel, TokenId } from "./embedded-model.ts";
import type { Sampling } from "./embedded-sampling.ts";
import { readSampling } from "./embedded-sampling.ts";
import type { EngineModel, GenerateTask } from "../engine.ts";
import { EngineError } from "../engine.ts";
import type { Schema } from "../tools/json-grammar-keywords.ts";
import { jsonObjectGrammar, jsonSchemaGrammar } from "../tools/json-grammar.ts";
import { tokenLimit } from "../token-limit.ts";
import type { ToolFormat, ToolPlan } from "../tools/tool-format.ts";
import { toolPlanOf } from "../tools/tool-format.ts";
import { toolCallGrammar } from "../tools/tool-grammar.ts";

/** The beginning of an answer that is given, in the tokens it is evaluated as. */
export interface PlannedPrefix {
  readonly text: string;
  readonly tokens: readonly TokenId[];
  /** What the tokens spell beyond `text`: it was made but not delivered. */
  readonly surplus: string;
  /** Whether these are the tokens that were once made, and not a guess at them. */
  readonly isExact: boolean;
}

/** Calls of tools that an answer may hold. */
export interface PlannedTools {
  readonly plan: ToolPlan;
  readonly format: ToolFormat;
  readonly names: readonly string[];
  /** The grammar in force from the first token lets calls through: none is needed at a call. */
  readonly isInGrammar: boolean;
}

/** A task made ready: everything its choices have in common. */
export interface Plan<Compiled> {
  readonly prompt: readonly TokenId[];
  readonly prefix: PlannedPrefix | null;
  readonly sampling: Sampling;
  /** Of the whole answer, a given beginning included. */
  readonly tokensMax: number;
  /** In force from the first token. */
  readonly grammar: Compiled | null;
  readonly tools: PlannedTools | null;
  readonly endTokens: ReadonlySet<TokenId>;
  readonly seed: number;
  /** The same request is to give the same answer: its temperature is 0 or it names a seed. */
  readonly isRepeatable: boolean;
}

export interface PlanSources<Compiled, Grammar extends GrammarState> {
  readonly loaded: LoadedModel<Compiled, Grammar>;
  readonly model: EngineModel;
  compile(grammar: string): Promise<Compiled>;
}

export async function planTask<Compiled, Grammar extends GrammarState>(
  task: GenerateTask,
  sources: PlanSources<Compiled, Grammar>,
): Promise<Plan<Compiled>> {
  const { loaded, model } = sources;
  const sampling = readSampling(task);
  assertBiases(sampling, loaded.vocabulary.tokens.length);
  const { prompt, endTokens } = promptOf(task, loaded);
  const tokensMax = tokenLimit(task, prompt.length, model.contextTokens);
  const prefix = prefixOf(task, prompt, loaded);
  const toolPlan = task.kind === "chat" ? toolPlanOf(task.request, loaded.toolFormat) : null;
  const { text, isInGrammar } = grammarOf(task, toolPlan, loaded.toolFormat);
  const grammar = text === null ? null : await sources.compile(text);
  const tools = toolPlan && {
    plan: toolPlan,
    format: loaded.toolFormat,
    names: toolPlan.tools.map((tool) => tool.function.name),
    isInGrammar,
  };
  const seed = sampling.seed ?? Math.floor(Math.random() * 2 ** 32);
  const isRepeatable = sampling.temperature === 0 || sampling.seed !== null;
  return { prompt, prefix, sampling, tokensMax, grammar, tools, endTokens, seed, isRepeatable };
}

function assertBiases(sampling: Sampling, vocabularySize: number): void {
  for (const id of sampling.biasByTokenId.keys()) {
    if (id < vocabularySize) continue;
    const message = `Cannot bias token ${id}: the model has ${vocabularySize} tokens`;
    throw new EngineError("invalid_request", message);
  }
}

type AnyLoaded = LoadedModel<unknown, GrammarState>;
type PromptSource = Pick<AnyLoaded, "textPrompt" | "isChatModel" | "chatPrompt">;
type PrefixSource = Pick<AnyLoaded, "text" | "tokensOf" | "vocabulary">;

function promptOf(task: GenerateTask, loaded: PromptSource): ChatPrompt {
  if (task.kind === "completion") {
    const { prompt } = task.request;
    const text = typeof prompt === "string" ? prompt : (prompt[0] ?? "");
    return { prompt: loaded.textPrompt(text), endTokens: new Set() };
  }
  if (!loaded.isChatModel) {
    throw new EngineError("invalid_request", "Cannot chat: this model has no chat template");
  }
  // A model that must not call is not told of its tools: it would only write calls as text.
  const tools = task.request.tool_choice === "none" ? [] : (task.request.tools ?? []);
  return loaded.chatPrompt({ history: historyOf(task.request.messages), tools });
}

/** Tokenizers look back at most this far to decide about a space. */
const lookBackTokens = 4;

function prefixOf(
  { prefix, request }: GenerateTask,
  prompt: readonly TokenId[],
  loaded: PrefixSource,
): PlannedPrefix | null {
  if (prefix === undefined || (prefix.text === "" && (prefix.tokenIds ?? []).length === 0)) {
    return null;
  }
  if ((request.n ?? 1) > 1) {
    throw new EngineError("invalid_request", "Cannot continue an answer of several choices");
  }
  const { text, tokenIds } = prefix;
  const vocabularySize = loaded.vocabulary.tokens.length;
  // llama.cpp does not survive a token that its model does not have.
  const isKnown = (id: number) => Number.isInteger(id) && id >= 0 && id < vocabularySize;
  if (tokenIds !== null && tokenIds.every(isKnown)) {
    const spelled = loaded.text(tokenIds, prompt.slice(-lookBackTokens));
    // Tokens may spell more than was delivered, where a stop sequence could have begun.
    if (spelled.startsWith(text)) {
      return { text, tokens: tokenIds, surplus: spelled.slice(text.length), isExact: true };
    }
  }
  if (text === "") return null;
  return { text, tokens: loaded.tokensOf(text), surplus: "", isExact: false };
}

/** The grammar in force from the first token. */
function grammarOf(
  task: GenerateTask,
  tools: ToolPlan | null,
  format: ToolFormat,
): { readonly text: string | null; readonly isInGrammar: boolean } {
  if (tools?.mode === "required") {
    return { text: toolCallGrammar(tools, format, { lead: "" }), isInGrammar: true };
  }
  const wanted = task.kind === "chat" ? task.request.response_format : null;
  if (!wanted || wanted.type === "text") return { text: null, isInGrammar: false };
  const schema = wanted.type === "json_schema" ? wanted.json_schema.schema : undefined;
  if (tools !== null) {
    const otherwise: Schema | null = schema ?? null;
    const text = toolCallGrammar(tools, format, { lead: "", otherwise });
    return { text, isInGrammar: true };
  }
  const text = schema === undefined ? jsonObjectGrammar : jsonSchemaGrammar(schema);
  return { text, isInGrammar: false };
}
