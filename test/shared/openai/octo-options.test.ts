import { describe, expect, test } from "vitest";
import { chatRequestSchema } from "../../../shared/openai/chat-request.ts";
import { chatDemands } from "../../../shared/openai/demands.ts";
import {
  octoOptionsSchema,
  weightDemands,
  weightFault,
} from "../../../shared/openai/octo-options.ts";
import { transcriptionRequestSchema } from "../../../shared/openai/transcription-request.ts";

describe("what a consumer demands of weights", () => {
  test.each([
    ["fp16", 16, null],
    ["fp16", 8.5, "quantization"],
    ["int8", 8.5, null],
    ["int8", 6.6, "quantization"],
    ["int4", 4.25, null],
    ["int4", 3.4, "quantization"],
    ["int2", null, "quantization"],
  ] as const)("%s is met by %s bits a weight, or not", (least, bitsPerWeight, fault) => {
    const demands = weightDemands({ min_quantization: least });
    expect(weightFault(demands, { identity: "content", bitsPerWeight })).toBe(fault);
  });

  test("is nothing unless it is said", () => {
    for (const options of [null, undefined, {}]) {
      const demands = weightDemands(options);
      expect(weightFault(demands, { identity: "declared", bitsPerWeight: null })).toBeNull();
    }
  });

  test("is named exactly: what is misspelt is refused, not ignored", () => {
    expect(octoOptionsSchema.safeParse({ min_quantisation: "int8" }).success).toBe(false);
    expect(octoOptionsSchema.safeParse({ min_quantization: "q8" }).success).toBe(false);
    expect(octoOptionsSchema.safeParse({ identity: "declared" }).success).toBe(false);
  });

  test("is no ability that an engine would need", () => {
    const request = chatRequestSchema.parse({
      model: "m",
      messages: [{ role: "user", content: "hi" }],
      octo: { min_quantization: "int8" },
    });
    expect([...chatDemands(request).fieldByAbility.keys()]).toEqual(["chat"]);
  });

  test("travels in a form as JSON", () => {
    const form = { model: "m", audio: "AAAA", file_name: "a.wav" };
    const octo = '{"min_quantization":"int8"}';
    expect(transcriptionRequestSchema.parse({ ...form, octo }).octo).toEqual({
      min_quantization: "int8",
    });
    const wrong = transcriptionRequestSchema.safeParse({ ...form, octo: "int8" });
    expect(wrong.error?.message).toContain("an object as JSON");
  });
});
