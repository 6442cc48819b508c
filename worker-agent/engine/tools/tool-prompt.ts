import type { HistoryCall, HistoryItem } from "../embedded/embedded-prompt.ts";
import type { Tool, ToolFormat } from "./tool-format.ts";

/** A history without calls: everything is text. */
export type PlainItem =
  | { type: "system"; text: string }
  | { type: "user"; text: string }
  | { type: "model"; response: string[] };

/**
 * A conversation with tools for a template that knows none: tools are told in the system message,
 * calls are text of the assistant, and results come as messages of the user between
 * `<tool_response>` marks.
 */
export function plainHistory(
  history: readonly HistoryItem[],
  tools: readonly Tool[],
  format: ToolFormat,
): PlainItem[] {
  const items: PlainItem[] = [];
  for (const item of history) {
    if (item.type !== "model") items.push(item);
    else items.push(...plainAnswer(item.response, format));
  }
  if (items.at(-1)?.type !== "model") items.push({ type: "model", response: [] });
  if (tools.length === 0) return items;
  const [first] = items;
  const told = toolsTold(tools, format);
  if (first?.type !== "system") return [{ type: "system", text: told }, ...items];
  return [{ type: "system", text: `${first.text}\n\n${told}` }, ...items.slice(1)];
}

function plainAnswer(response: readonly (string | HistoryCall)[], format: ToolFormat): PlainItem[] {
  const texts = response.filter((part) => typeof part === "string");
  const calls = response.filter((part) => typeof part !== "string");
  if (calls.length === 0) return [{ type: "model", response: texts }];
  const { section, prefix, paramsPrefix, suffix, sectionEnd } = format;
  const between = format.between ?? "\n";
  const written = calls.map((call) => prefix + call.name + paramsPrefix + call.arguments + suffix);
  const text = [...texts, section + written.join(between) + sectionEnd].join("\n");
  const results = calls.filter((call) => call.result !== null);
  const answer: PlainItem = { type: "model", response: [text] };
  if (results.length === 0) return [answer];
  const told = results.map((call) => `<tool_response>\n${call.result ?? ""}\n</tool_response>`);
  return [answer, { type: "user", text: told.join("\n") }];
}

function toolsTold(tools: readonly Tool[], format: ToolFormat): string {
  const list = tools.map((tool) => JSON.stringify(tool.function)).join("\n");
  const example = `${format.prefix}NAME${format.paramsPrefix}{}${format.suffix}`;
  return `Tools you can call:\n${list}\nTo call one, write:\n${example}`;
}
