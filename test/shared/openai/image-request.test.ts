import { expect, test } from "vitest";
import { imageRequestSchema } from "../../../shared/openai/image-request.ts";

test.each([
  ["500x500", "each side is a multiple of 64 pixels"],
  ["512x520", "each side is a multiple of 64 pixels"],
  ["8192x64", "no side is over 4096 pixels"],
  ["auto", "WIDTHxHEIGHT in pixels, say 512x512"],
])(
  "a size that servers would round, or cannot make, is refused before anybody works (%s)",
  (size, message) => {
    const { success, error } = imageRequestSchema.safeParse({ model: "m", prompt: "a", size });
    expect(success).toBe(false);
    expect(error?.issues.map((issue) => issue.message)).toContain(message);
  },
);

test.each(["64x64", "512x512", "1024x1792", "4096x4096"])("a size of %s is taken", (size) => {
  expect(imageRequestSchema.safeParse({ model: "m", prompt: "a", size }).success).toBe(true);
});
