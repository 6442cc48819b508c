import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { engineBody, type InferenceRequest } from "../../../edge/inference/engine-request.ts";
import { boundsOf } from "../../../edge/inference/token-bounds.ts";
import { chatRequestSchema } from "../../../shared/openai/chat-request.ts";
import { completionRequestSchema } from "../../../shared/openai/completion-request.ts";
import { chatDemands, completionDemands } from "../../../shared/openai/demands.ts";

function chat(fields: Record<string, unknown> = {}): InferenceRequest {
  const messages = [{ role: "user", content: "hi" }];
  const request = chatRequestSchema.parse({ model: "m", messages, ...fields });
  return { kind: "chat", request, demands: chatDemands(request) };
}

function completion(fields: Record<string, unknown> = {}): InferenceRequest {
  const request = completionRequestSchema.parse({ model: "m", prompt: "hi", ...fields });
  return { kind: "completion", request, demands: completionDemands(request) };
}

function bounds(wanted: InferenceRequest, contextTokens = 1_000) {
  return boundsOf(wanted, engineBody(wanted), { contextTokens });
}

describe("the most completion tokens of a request", () => {
  test.each<[string, InferenceRequest, number | null]>([
    ["are the context's alone where a chat names none", chat(), null],
    ["are a chat's max_completion_tokens", chat({ max_completion_tokens: 7, max_tokens: 9 }), 7],
    ["are a chat's older max_tokens", chat({ max_tokens: 9 }), 9],
    ["are those of every choice together", chat({ max_tokens: 9, n: 3 }), 27],
    ["are sixteen where a completion names none, as at OpenAI", completion(), 16],
    ["are a completion's max_tokens", completion({ max_tokens: 5 }), 5],
  ])("%s", (_, wanted, most) => {
    expect(bounds(wanted).completionTokensMax).toBe(most);
  });

  test.each([
    ["max_completion_tokens", chat({ max_completion_tokens: 1_001 })],
    ["max_tokens", completion({ max_tokens: 1_001 })],
  ])("beyond the context are refused, naming %s", (param, wanted) => {
    expect(() => bounds(wanted)).toThrow(
      expect.objectContaining({ code: "context_length_exceeded", param }),
    );
  });

  test("may be the whole context", () => {
    expect(bounds(chat({ max_tokens: 1_000 })).completionTokensMax).toBe(1_000);
  });
});

describe("the most prompt tokens of a request", () => {
  test("are never more than the context", () => {
    const content = "x".repeat(5_000);
    expect(bounds(chat({ messages: [{ role: "user", content }] })).promptTokensMax).toBe(1_000);
  });

  test("are at least its bytes, and room for a template around each message", () => {
    const content = fc.array(fc.string({ unit: "grapheme" }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(content, (texts) => {
        const messages = texts.map((text) => ({ role: "user", content: text }));
        const { promptTokensMax } = bounds(chat({ messages }), 1_000_000);
        const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
        expect(promptTokensMax).toBeGreaterThanOrEqual(bytes + 64 * texts.length);
      }),
    );
  });
});

describe("a request as its engine gets it", () => {
  test("is canonical, without what is between the consumer and the edge", () => {
    const wanted = chat({ stream: true, user: "u", temperature: null, seed: 3 });
    expect(engineBody(wanted)).toBe(
      '{"messages":[{"content":"hi","role":"user"}],"model":"m","seed":3}',
    );
  });

  test("names the tokens of a completion that names none", () => {
    expect(engineBody(completion())).toBe('{"max_tokens":16,"model":"m","prompt":"hi"}');
  });

  test("is refused with half a character in it, which has no bytes to hash", () => {
    const wanted = chat({ messages: [{ role: "user", content: "\ud83e" }] });
    expect(() => engineBody(wanted)).toThrow(expect.objectContaining({ code: "invalid_request" }));
  });
});
