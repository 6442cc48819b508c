import type { ChatWrapper, LlamaModel, LlamaText, Token } from "node-llama-cpp";
import type { Log } from "../../../shared/log.ts";
import type { ChatPrompt, ChatPromptRequest, HistoryItem } from "./embedded-prompt.ts";
import type { Tool, ToolFormat } from "../tools/tool-format.ts";
import { commonToolFormat } from "../tools/tool-format.ts";
import { plainHistory } from "../tools/tool-prompt.ts";

type Library = typeof import("node-llama-cpp");
type LibraryHistory = Parameters<ChatWrapper["generateContextState"]>[0];

/** Prompts of conversations by a model's own chat template. */
export class EmbeddedTemplate {
  readonly toolFormat: ToolFormat;
  readonly #library: Library;
  readonly #model: LlamaModel;
  readonly #wrapper: ChatWrapper;

  constructor(library: Library, model: LlamaModel, wrapper: ChatWrapper) {
    this.#library = library;
    this.#model = model;
    this.#wrapper = wrapper;
    this.toolFormat = toolFormatOf(wrapper, model) ?? commonToolFormat;
  }

  prompt(request: ChatPromptRequest): ChatPrompt {
    const model = this.#model;
    const { text, results } = this.#render(request);
    const { contextText, stopGenerationTriggers } = text;
    const endTokens = new Set<Token>();
    for (const trigger of stopGenerationTriggers) {
      const [first] = trigger.tokenize(model.tokenizer);
      if (first !== undefined && model.isSpecialToken(first)) endTokens.add(first);
    }
    const whole = results.size === 0 ? contextText : this.#withResults(contextText, results);
    return { prompt: withBeginning(model, whole.tokenize(model.tokenizer)), endTokens };
  }

  #render({ history, tools }: ChatPromptRequest) {
    if (!this.toolFormat.isOwn) {
      const chatHistory = plainHistory(history, tools, this.toolFormat);
      const text = this.#wrapper.generateContextState({ chatHistory });
      return { text, results: new Map<string, string>() };
    }
    const results = new Map<string, string>();
    const stand = standIns(JSON.stringify(history), results);
    const chatHistory = history.map((item) => libraryItem(item, stand));
    const options: LibraryHistory = { chatHistory };
    if (tools.length > 0) {
      options.availableFunctions = Object.fromEntries(tools.map((tool) => this.#described(tool)));
      options.documentFunctionParams = true;
    }
    return { text: this.#wrapper.generateContextState(options), results };
  }

  #described({ function: tool }: Tool) {
    const { description, parameters } = tool;
    const params = parameters === undefined ? {} : { params: this.#defused(parameters) as never };
    const told = description === undefined ? {} : { description: this.#defusedText(description) };
    return [tool.name, { ...told, ...params }] as const;
  }

  /** Templates write tools among their own marks, where a text must not pass for one of these. */
  #defused(value: unknown): unknown {
    if (typeof value === "string") return this.#defusedText(value);
    if (Array.isArray(value)) return value.map((item) => this.#defused(item));
    if (typeof value !== "object" || value === null) return value;
    const entries = Object.entries(value);
    return Object.fromEntries(entries.map(([key, inner]) => [key, this.#defused(inner)]));
  }

  #defusedText(text: string): string {
    let harmless = text;
    for (const token of this.#model.tokenize(text, true)) {
      if (!this.#model.isSpecialToken(token)) continue;
      const mark = this.#model.detokenize([token], true);
      if (mark.length > 1) harmless = harmless.replaceAll(mark, `${mark[0]} ${mark.slice(1)}`);
    }
    return harmless;
  }

  /** Puts texts back where their stand-ins are, as plain text that is no mark of the template. */
  #withResults(text: LlamaText, results: ReadonlyMap<string, string>): LlamaText {
    const { LlamaText: create, SpecialTokensText } = this.#library;
    const pattern = new RegExp(`"?(${[...results.keys()].join("|")})"?`);
    const values = text.values.flatMap((value): (typeof value)[] => {
      const isMark = value instanceof SpecialTokensText;
      if (typeof value !== "string" && !isMark) return [value];
      // Every second piece is a stand-in.
      const pieces = (isMark ? value.value : value).split(pattern);
      return pieces.map((piece, at) => {
        if (at % 2 === 1) return results.get(piece) ?? piece;
        return isMark ? new SpecialTokensText(piece) : piece;
      });
    });
    return create(values);
  }
}

/**
 * Gives numbers that stand for texts of calls while the library renders: it would quote a result's
 * text and write arguments anew, and what the model wrote itself must come back as it was.
 */
function standIns(all: string, results: Map<string, string>): (text: string) => number {
  let next = 910_203_040_506_071;
  return (text) => {
    do next += 1_000_003;
    while (all.includes(String(next)));
    results.set(String(next), text);
    return next;
  };
}

function libraryItem(
  item: HistoryItem,
  stand: (text: string) => number,
): LibraryHistory["chatHistory"][number] {
  if (item.type !== "model") return item;
  let startsNewChunk = true;
  const response = item.response.map((part) => {
    if (typeof part === "string") return part;
    const params = stand(part.arguments);
    const result = stand(part.result ?? "");
    const call = { type: "functionCall", name: part.name, params, result, startsNewChunk } as const;
    startsNewChunk = false;
    return call;
  });
  return { type: "model", response };
}

/** How the template writes calls; null where it knows none. */
function toolFormatOf(wrapper: ChatWrapper, model: LlamaModel): ToolFormat | null {
  if (!("usingJinjaFunctionCallTemplate" in wrapper)) return null;
  if (wrapper.usingJinjaFunctionCallTemplate !== true) return null;
  const { call } = wrapper.settings.functions;
  const many = wrapper.settings.functions.parallelism?.call;
  const text = (part: string | LlamaText | undefined): string => plainText(part, model);
  const format = {
    section: text(many?.sectionPrefix),
    prefix: text(call.prefix),
    paramsPrefix: text(call.paramsPrefix),
    suffix: text(call.suffix),
    between: many === undefined ? null : text(many.betweenCalls),
    sectionEnd: untilEnd(text(many?.sectionSuffix), model),
    isOwn: true,
  };
  // Calls that cannot be told from text, or names from arguments, could not be read back.
  return (format.section + format.prefix).trim() === "" || format.paramsPrefix === ""
    ? null
    : format;
}

function plainText(part: string | LlamaText | undefined, model: LlamaModel): string {
  if (part === undefined || typeof part === "string") return part ?? "";
  const texts = part.values.map((value) => {
    if (typeof value === "string") return value;
    const written = value.toJSON();
    if (written.type === "specialTokensText") return written.value;
    return model.detokenize(value.tokenize(model.tokenizer), true);
  });
  return texts.join("");
}

/** What follows the token that ends an answer belongs to the next message. */
function untilEnd(text: string, model: LlamaModel): string {
  const tokens = model.tokenize(text, true);
  const end = tokens.findIndex((token) => model.isEogToken(token));
  return end < 0 ? text : model.detokenize(tokens.slice(0, end), true);
}

/**
 * Prompts begin with the model's own first token where it was trained so and the template did not
 * write it.
 */
export function withBeginning(model: LlamaModel, tokens: Token[]): Token[] {
  const { bos, shouldPrependBosToken } = model.tokens;
  if (bos !== null && shouldPrependBosToken && tokens[0] !== bos) return [bos, ...tokens];
  const start = bos ?? model.tokens.eos;
  // An empty completion prompt has to begin somewhere.
  return tokens.length === 0 && start !== null ? [start] : tokens;
}

export function createTemplate(
  library: Library,
  model: LlamaModel,
  { template, log }: { readonly template: string | null; readonly log: Log },
): EmbeddedTemplate | null {
  if (template === null) return null;
  try {
    const wrapper = new library.JinjaTemplateChatWrapper({
      template,
      reasoning: null,
      trimLeadingWhitespaceInResponses: false,
    });
    return new EmbeddedTemplate(library, model, wrapper);
  } catch (error) {
    const reason = error instanceof Error ? error.message : "unknown";
    log("warn", "the model's chat template cannot be used, so it serves no chats", { reason });
    return null;
  }
}
