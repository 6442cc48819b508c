import type { ChatRequest } from "../../../shared/openai/chat-request.ts";

export type Tool = NonNullable<ChatRequest["tools"]>[number];

/**
 * How a model writes calls of tools: `section`, then calls of `prefix NAME paramsPrefix ARGUMENTS
 * suffix` with `between` them, then `sectionEnd`.
 */
export interface ToolFormat {
  readonly section: string;
  readonly prefix: string;
  readonly paramsPrefix: string;
  readonly suffix: string;
  /** Null where an answer holds one call at most. */
  readonly between: string | null;
  readonly sectionEnd: string;
  /** Whether the model's own chat template writes tools and their results. */
  readonly isOwn: boolean;
}

/**
 * The form for models whose template knows no tools: what Hermes, Qwen and many after them were
 * trained on.
 */
export const commonToolFormat: ToolFormat = {
  section: "",
  prefix: '<tool_call>\n{"name": "',
  paramsPrefix: '", "arguments": ',
  suffix: "}\n</tool_call>",
  between: "\n",
  sectionEnd: "",
  isOwn: false,
};

/** All that stands before the first call's name. */
export function openingOf(format: ToolFormat): string {
  return (format.section + format.prefix).trimStart();
}

/**
 * The text that shows that a model in free text begins a call: the opening up to its first white
 * space, because models vary in the white space after it.
 */
export function triggerOf(format: ToolFormat): string {
  return /^\S+/.exec(openingOf(format))?.[0] ?? openingOf(format);
}

/** What a request wants of tools; null where it wants none to be called. */
export interface ToolPlan {
  readonly tools: readonly Tool[];
  /** `required`: the answer is a call. `auto`: it may be. */
  readonly mode: "auto" | "required";
  readonly isParallel: boolean;
}

/** What `request` wants of tools that the model calls in `format`. */
export function toolPlanOf(request: ChatRequest, format: ToolFormat): ToolPlan | null {
  const all = request.tools ?? [];
  const choice = request.tool_choice ?? "auto";
  if (all.length === 0 || choice === "none") return null;
  // A model that was never taught this form may not find the end of its calls: one, unless asked.
  const isParallel = request.parallel_tool_calls ?? format.isOwn;
  if (typeof choice === "string") return { tools: all, mode: choice, isParallel };
  const tools = all.filter((tool) => tool.function.name === choice.function.name);
  // A named function is called once: its name is all that is left to choose.
  return { tools, mode: "required", isParallel: false };
}
