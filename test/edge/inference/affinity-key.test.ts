import { describe, expect, test } from "vitest";
import { affinityKey } from "../../../edge/inference/placing/affinity-key.ts";
import type { InferenceRequest } from "../../../edge/inference/engine-request.ts";
import type { ChatMessage } from "../../../shared/openai/chat-request.ts";

const demands = { fieldByAbility: new Map(), refused: null };

function chat(messages: ChatMessage[], model = "m"): InferenceRequest {
  return { kind: "chat", request: { model, messages }, demands };
}

const system: ChatMessage = { role: "system", content: "You are a fox." };
const hello: ChatMessage = { role: "user", content: "Hello" };

describe("a conversation's key", () => {
  test("is the same in each of its turns", async () => {
    const first = await affinityKey("acct_a", chat([system, hello]));
    const later = chat([system, hello, { role: "assistant", content: "Yip" }, hello]);
    expect(first).toMatch(/^[0-9a-f]{16}$/);
    expect(await affinityKey("acct_a", later)).toBe(first);
  });

  test("is another for another account, model, system prompt or first message", async () => {
    const keys = await Promise.all([
      affinityKey("acct_a", chat([system, hello])),
      affinityKey("acct_b", chat([system, hello])),
      affinityKey("acct_a", chat([system, hello], "n")),
      affinityKey("acct_a", chat([hello])),
      affinityKey("acct_a", chat([{ role: "system", content: "You are a dog." }, hello])),
      affinityKey("acct_a", chat([system, { role: "user", content: "Hi" }])),
      affinityKey(
        "acct_a",
        chat([system, { role: "user", content: [{ type: "text", text: "Hey" }] }]),
      ),
    ]);
    expect(new Set(keys).size).toBe(keys.length);
  });

  test("is of a plain completion's beginning, which stays when the text goes on", async () => {
    const of = (prompt: string) =>
      affinityKey("acct_a", { kind: "completion", request: { model: "m", prompt }, demands });
    const beginning = "Once upon a time ".repeat(20);
    expect(await of(beginning)).toBe(await of(`${beginning} there was a fox`));
    expect(await of("Once")).not.toBe(await of("Twice"));
  });

  test("is none where nothing is kept for the next request, or nothing has begun", async () => {
    const vectors = { kind: "embedding", request: { model: "m", input: "fox" }, demands } as const;
    expect(await affinityKey("acct_a", vectors)).toBeNull();
    expect(await affinityKey("acct_a", chat([system]))).toBeNull();
  });
});
