import { expect, test } from "vitest";
import { commonToolFormat } from "../../../worker-agent/engine/tools/tool-format.ts";
import { ToolWatch } from "../../../worker-agent/engine/tools/tool-watch.ts";

const opening = '<tool_call>\n{"name": "';

function watching(texts: readonly string[]) {
  const watch = new ToolWatch(commonToolFormat, ["add", "add_all"], false);
  const content = texts.map((text, id) => watch.push(id, text).content);
  return { watch, content };
}

test("text that only begins like a call leaves once that is known", () => {
  const { watch, content } = watching(["a", " <", "tool", "box>", " b"]);
  expect(content).toEqual(["a", "", "", " <toolbox>", " b"]);
  expect(watch.beginning).toBeNull();
});

test("a call's beginning is told with its tokens and what the first of them wrote before", () => {
  const { watch, content } = watching(["Well", "! \n<to", "ol_", "call>\n{"]);
  expect(content.join("")).toBe("Well!");
  expect(watch.beginning).toEqual({ lead: "! \n", tokens: [1, 2, 3] });
  expect(watch.begin()).toEqual([]);
  const calls = watch.push(4, '"name": "add_all", "arguments": {"a": "}').calls;
  expect(calls).toEqual([
    { index: 0, id: expect.stringMatching(/^call_/), name: "add_all", arguments: '{"a": "}' },
  ]);
  expect(watch.push(5, '"}}\n</tool_call>').calls).toEqual([{ index: 0, arguments: '"}' }]);
  expect(watch.isComplete(false)).toBe(true);
  const next = watch.push(6, `\n${opening}add", "arguments": {}`).calls;
  expect(next).toMatchObject([{ index: 1, name: "add", arguments: "{}" }]);
});

test("a beginning that is none leaves as text, white space included", () => {
  const { watch } = watching(["Say", " <tool_call>"]);
  expect(watch.beginning).not.toBeNull();
  expect(watch.ignore()).toBe(" <tool_call>");
  expect(watch.push(2, " twice ").content).toBe(" twice");
  expect(watch.finish("").content).toBe(" ");
  expect(watch.hasCalls).toBe(false);
});
