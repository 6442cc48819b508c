import { describe, expect, test } from "vitest";
import { chatMessageSchema, chatRequestSchema } from "../../../shared/openai/chat-request.ts";

const call = { id: "call_1", type: "function", function: { name: "f", arguments: "{}" } };

describe("chat messages", () => {
  test.each([
    [{ role: "system", content: "be brief" }],
    [{ role: "developer", content: [{ type: "text", text: "be brief" }] }],
    [{ role: "user", content: "hi", name: "ann" }],
    [{ role: "user", content: [{ type: "text", text: "hi" }] }],
    [{ role: "user", content: [{ type: "image_url", image_url: { url: "data:," } }] }],
    [{ role: "assistant", content: "hello" }],
    [{ role: "assistant", content: "" }],
    [{ role: "assistant", content: null, tool_calls: [call] }],
    [{ role: "assistant", tool_calls: [call] }],
    [{ role: "assistant", content: null, refusal: "no" }],
    [{ role: "assistant", content: [{ type: "refusal", refusal: "no" }] }],
    [{ role: "tool", content: "42", tool_call_id: "call_1" }],
  ])("%j is a message", (message) => {
    expect(chatMessageSchema.safeParse(message).success).toBe(true);
  });

  test("an answer of ours can be sent back whole", () => {
    const message = { role: "assistant", content: "hello", refusal: null, annotations: [] };
    expect(chatMessageSchema.safeParse({ ...message, audio: null }).success).toBe(true);
  });

  test.each([
    [{ role: "user" }],
    [{ role: "user", content: null }],
    [{ role: "user", content: [] }],
    [{ role: "user", content: "hi", mood: "good" }],
    [{ role: "wizard", content: "hi" }],
    [{ role: "function", name: "f", content: "42" }],
    [{ role: "assistant" }],
    [{ role: "assistant", content: null }],
    [{ role: "assistant", content: null, refusal: null }],
    [{ role: "assistant", content: "x", tool_calls: [] }],
    [{ role: "tool", content: "42" }],
    [{ role: "system", content: [{ type: "image_url", image_url: { url: "x" } }] }],
    [null],
    ["hi"],
  ])("%j is no message", (message) => {
    expect(chatMessageSchema.safeParse(message).success).toBe(false);
  });

  test("a wrong message is refused by its place", () => {
    const parsed = chatRequestSchema.safeParse({
      model: "m",
      messages: [
        { role: "user", content: "hi" },
        { role: "tool", content: "42" },
      ],
    });
    expect(parsed.error?.issues[0]?.path).toEqual(["messages", 1, "tool_call_id"]);
  });

  test("no request has more than 4096 messages", () => {
    const messages = Array.from({ length: 4097 }, () => ({ role: "user", content: "hi" }));
    expect(chatRequestSchema.safeParse({ model: "m", messages }).success).toBe(false);
    const fewer = messages.slice(1);
    expect(chatRequestSchema.safeParse({ model: "m", messages: fewer }).success).toBe(true);
  });
});
