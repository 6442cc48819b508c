import { commonRules, jsonGrammarPart } from "./json-grammar.ts";
import { quote } from "./json-grammar-text.ts";
import type { Schema } from "./json-grammar-keywords.ts";
import { EngineError } from "../engine.ts";
import type { Tool, ToolFormat, ToolPlan } from "./tool-format.ts";
import { openingOf } from "./tool-format.ts";

/** Calls in one answer: the wire numbers them to 127, and nobody runs more at once. */
const callsMax = 64;

/**
 * The grammar (GBNF) of an answer that calls tools, from the opening on. `lead` is text that the
 * model wrote before it within the same token; `otherwise` is a schema the answer may follow
 * instead of calling (undefined: it must call; null: any JSON object).
 */
export function toolCallGrammar(
  plan: ToolPlan,
  format: ToolFormat,
  options: { readonly lead: string; readonly otherwise?: Schema | null | undefined },
): string {
  const rules: string[] = [];
  const calls = plan.tools.map(({ function: tool }, index) => {
    // OpenAI: only `strict: true` promises the schema to its last keyword; without it what a
    // grammar cannot say is left to the caller to check, as everywhere.
    const isRelaxed = tool.strict !== true;
    const schema = argumentsSchema(tool);
    const args = jsonGrammarPart(schema, { namePrefix: `t${index}`, isRelaxed });
    rules.push(...args.rules);
    return `${quote(tool.name + format.paramsPrefix)} ${args.expression} ${quote(format.suffix)}`;
  });
  rules.push(`call ::= ${calls.join(" | ")}`);
  const { between } = format;
  const next = quote((between ?? "") + format.prefix);
  const isMany = plan.isParallel && between !== null;
  const all = isMany ? `call (${next} call){0,${callsMax - 1}}` : "call";
  const end = format.sectionEnd === "" ? "" : ` ${quote(format.sectionEnd)}`;
  rules.push(`calls ::= ${quote(options.lead + openingOf(format))} ${all}${end}`);
  if (options.otherwise === undefined)
    return ["root ::= calls", ...rules, ...commonRules].join("\n");
  if (options.otherwise === null) {
    return ["root ::= calls | object", ...rules, ...commonRules].join("\n");
  }
  const other = jsonGrammarPart(options.otherwise, { namePrefix: "", isRelaxed: false });
  return [`root ::= calls | ${other.expression}`, ...rules, ...other.rules, ...commonRules].join(
    "\n",
  );
}

/** Arguments are one JSON object, whatever else their schema says. */
function argumentsSchema(tool: Tool["function"]): Schema {
  const { parameters = {} } = tool;
  const isObject = (parameters["type"] ?? "object") === "object";
  if (isObject && !("const" in parameters) && !("enum" in parameters)) {
    return { type: "object", ...parameters };
  }
  const message = `Cannot call ${tool.name}: its parameters are no schema of an object`;
  throw new EngineError("invalid_request", message);
}
