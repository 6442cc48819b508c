import * as fc from "fast-check";
import { expect, test } from "vitest";
import { sha256Hex, toHex } from "../../../shared/crypto/bytes.ts";
import { sha256Sync } from "../../../shared/crypto/sha256-sync.ts";

test("is what WebCrypto says, at every length around a block's end", async () => {
  for (let length = 0; length < 200; length++) {
    const text = "x".repeat(length);
    expect(toHex(sha256Sync(text))).toBe(await sha256Hex(text));
  }
});

test("is what WebCrypto says of any text", async () => {
  const texts = fc.string({ unit: "grapheme", maxLength: 2_000 });
  await fc.assert(
    fc.asyncProperty(texts, async (text) => {
      expect(toHex(sha256Sync(text))).toBe(await sha256Hex(text));
    }),
  );
});
