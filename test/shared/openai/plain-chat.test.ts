import * as fc from "fast-check";
import { expect, test } from "vitest";
import { chatRequestSchema } from "../../../shared/openai/chat-request.ts";
import { readPlainChat } from "../../../shared/openai/plain-chat.ts";

const plain = {
  model: "llama",
  stream: true,
  max_tokens: 32,
  max_completion_tokens: 64,
  temperature: 0.5,
  top_p: 1,
  messages: [
    { role: "system", content: "" },
    { role: "user", content: "Hello 🦊" },
    { role: "assistant", content: "Hi" },
  ],
};

const anyMessage = fc.oneof(
  fc.record(
    {
      role: fc.constantFrom("system", "developer", "user", "assistant", "tool", "function", ""),
      content: fc.oneof(fc.string(), fc.constantFrom(null, [], 1)),
      name: fc.string(),
    },
    { requiredKeys: ["role"] },
  ),
  fc.anything(),
);
const anyNumber = fc.oneof(
  fc.constantFrom(-1, 0, -0, 0.5, 1, 2, 2.5, 10_000_000, 10_000_001, Number.NaN, null, "1"),
  fc.double(),
);
const anyRequest = fc.record(
  {
    model: fc.oneof(fc.constantFrom("", "m", "m".repeat(200), "m".repeat(201)), fc.anything()),
    messages: fc.oneof(fc.array(anyMessage, { maxLength: 4 }), fc.anything()),
    stream: fc.oneof(fc.boolean(), fc.anything()),
    max_tokens: anyNumber,
    max_completion_tokens: anyNumber,
    temperature: anyNumber,
    top_p: anyNumber,
    n: anyNumber,
    more: fc.anything(),
  },
  { requiredKeys: ["model", "messages"] },
);

test("what is read by hand is what the schema would have read", () => {
  let read = 0;
  const value = fc.oneof(
    anyRequest,
    fc
      .tuple(fc.constantFrom(...Object.keys(plain), "n", "more"), anyRequest)
      .map(([field, other]) => ({ ...plain, [field]: (other as Record<string, unknown>)[field] })),
    fc.anything(),
  );
  fc.assert(
    fc.property(value, (request) => {
      const byHand = readPlainChat(request);
      if (byHand === null) return;
      read += 1;
      expect(byHand).toEqual(chatRequestSchema.parse(request));
    }),
    { numRuns: 5_000 },
  );
  expect(read).toBeGreaterThan(10);
});

test("a request of plain text is read by hand", () => {
  expect(readPlainChat(plain)).toEqual(chatRequestSchema.parse(plain));
});

test.each([
  ["a field that is not plain", { ...plain, tools: [] }],
  ["a field nobody knows", { ...plain, top_k: 5 }],
  ["null for a number", { ...plain, temperature: null }],
  ["an image", { ...plain, messages: [{ role: "user", content: [] }] }],
  ["a tool's message", { ...plain, messages: [{ role: "tool", content: "", tool_call_id: "1" }] }],
  ["a name", { ...plain, messages: [{ role: "user", content: "", name: "Ann" }] }],
  ["no messages", { ...plain, messages: [] }],
  ["no model", { messages: plain.messages }],
  ["no object", [plain]],
])("a request with %s is left to the schema", (_what, request) => {
  expect(readPlainChat(request)).toBeNull();
});
