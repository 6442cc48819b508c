import { createHmac } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  apiKeyHash,
  formatApiKey,
  newApiKey,
  parseApiKey,
} from "../../../shared/crypto/api-key.ts";

const printable = [..."_-0aA zZ9\n"];

describe("API keys", () => {
  test("a key has its environment, an id that may be logged, a secret and a checksum", () => {
    const text = formatApiKey(newApiKey("live"));
    expect(text).toMatch(/^octo_sk_live_[0-9A-Za-z]{8}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}$/);
  });

  test("a known key is written as it always was", () => {
    const key = { env: "dev", id: "awsbvuRJ", secret: "7".repeat(43) };
    const text = `octo_sk_dev_awsbvuRJ_${"7".repeat(43)}_1WoWYg`;
    expect(formatApiKey(key)).toBe(text);
    expect(parseApiKey(text)).toEqual(key);
  });

  test("any key comes back from its text", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z]{1,8}$/), (env) => {
        const key = newApiKey(env);
        expect(parseApiKey(formatApiKey(key))).toEqual(key);
      }),
    );
  });

  test("no two keys share an id or a secret", () => {
    const keys = Array.from({ length: 1_000 }, () => newApiKey("live"));
    expect(new Set(keys.map((key) => key.id)).size).toBe(keys.length);
    expect(new Set(keys.map((key) => key.secret)).size).toBe(keys.length);
  });

  test("a key with any one character changed, left out, added or swapped is refused", () => {
    const text = formatApiKey(newApiKey("test"));
    for (let at = 0; at < text.length; at++) {
      const [before, after] = [text.slice(0, at), text.slice(at + 1)];
      const swapped = `${text.slice(0, at)}${text[at + 1] ?? ""}${text[at]}${text.slice(at + 2)}`;
      const wrong = [before + after, swapped];
      for (const character of printable) {
        wrong.push(before + character + after, text.slice(0, at) + character + text.slice(at));
      }
      for (const mutation of wrong) {
        if (mutation !== text) expect([mutation, parseApiKey(mutation)]).toEqual([mutation, null]);
      }
    }
  });

  test.each([
    "",
    "octo_sk_",
    "sk-proj-abcdefghijklmnopqrstuvwxyz",
    "octo_sk_live_00000000_0_0",
    `octo_sk_${"a".repeat(9)}_00000000_${"0".repeat(43)}_000000`,
    `octo_sk_live_00000000_${"0".repeat(43)}_000000`,
  ])("%j is no key", (text) => {
    expect(parseApiKey(text)).toBeNull();
  });

  test("what is stored is an HMAC of the whole key under the pepper, as OpenSSL makes it", async () => {
    const key = { env: "dev", id: "awsbvuRJ", secret: "7".repeat(43) };
    const pepper = "p".repeat(32);
    const hash = await apiKeyHash(key, pepper);
    const body = `octo_sk_dev_awsbvuRJ_${"7".repeat(43)}`;
    expect(hash).toBe(createHmac("sha256", pepper).update(body).digest("hex"));
  });

  test("another secret, id, environment or pepper is another hash", async () => {
    const key = newApiKey("live");
    const pepper = "p".repeat(32);
    const hashes = await Promise.all([
      apiKeyHash(key, pepper),
      apiKeyHash({ ...key, secret: newApiKey("live").secret }, pepper),
      apiKeyHash({ ...key, id: newApiKey("live").id }, pepper),
      apiKeyHash({ ...key, env: "dev" }, pepper),
      apiKeyHash(key, "q".repeat(32)),
    ]);
    expect(new Set(hashes).size).toBe(hashes.length);
  });
});
