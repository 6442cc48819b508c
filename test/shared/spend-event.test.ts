import { describe, expect, test } from "vitest";
import { sha256Hex } from "../../shared/crypto/bytes.ts";
import { eventId, framedEventId, keyUuid, type SpendEvent } from "../../shared/spend-event.ts";

const published: SpendEvent = {
  requestId: "req-001",
  keyUuid: "550e8400-e29b-41d4-a716-446655440000",
  provider: "openai",
  model: "gpt-4",
  inputTokens: 100,
  outputTokens: 50,
  pricingHash: "00112233445566778899aabbccddeeff".repeat(2),
  tokenSource: "provider",
};

describe("the id of an event", () => {
  test.each([
    ["1", {}, "8d22792346a0417bb928da0c16f2af5330640678f365d16bc392d400c2aa4ab2"],
    [
      "2",
      { requestId: "req-002", tokenSource: "tokenizer" },
      "0f26450e1734034b9bc6f999b61586c671dd8249002524dd740a94c51ded3f36",
    ],
    [
      "3",
      { keyUuid: "660e8400-e29b-41d4-a716-446655440001" },
      "a3e31fbaa4b3bf6fe9d5c1eeb59055cfe4a3389358fc0e38c8820e2c2e6912ed",
    ],
  ] as const)("is that of the published vector TV%s", async (_, change, id) => {
    expect(await eventId({ ...published, ...change })).toBe(id);
  });

  test("is that of the published vector TV4, whose prices are others", async () => {
    const pricingHash = await sha256Hex("pricing-table-v2");
    expect(await eventId({ ...published, pricingHash })).toBe(
      "06a6eb1c68f8a75287d0ac45b1ede9f00cd770f106c505685c299cf3b593726c",
    );
  });

  test("is shared by texts that run into each other, and not where lengths are told", async () => {
    const one = { ...published, provider: "openai", model: "gpt-4" };
    const other = { ...published, provider: "openaig", model: "pt-4" };
    expect(await eventId(one)).toBe(await eventId(other));
    expect(await framedEventId(one)).not.toBe(await framedEventId(other));
  });

  test("with lengths told is another for any field that is another", async () => {
    const changes: Partial<SpendEvent>[] = [
      {},
      { requestId: "req-002" },
      { keyUuid: "660e8400-e29b-41d4-a716-446655440001" },
      { provider: "cipherocto" },
      { model: "gpt-4o" },
      { inputTokens: 101 },
      { outputTokens: 51 },
      { pricingHash: "0".repeat(64) },
      { tokenSource: "tokenizer" },
    ];
    const ids = await Promise.all(
      changes.map((change) => framedEventId({ ...published, ...change })),
    );
    expect(new Set(ids).size).toBe(changes.length);
    expect(ids[0]).toBe("1b250886f6e11fb4a969d3b4a362e5db28d0f1e97e598e8f8c77ba638b993c15");
  });

  test.each([
    ["no request id", { requestId: "" }],
    ["a request id that is too long", { requestId: "x".repeat(1_025) }],
    ["a UUID in capitals", { keyUuid: published.keyUuid.toUpperCase() }],
    ["an id that is no UUID", { keyUuid: "k0000001" }],
    ["tokens below zero", { inputTokens: -1 }],
    ["tokens beyond 32 bits", { outputTokens: 2 ** 32 }],
    ["half a token", { outputTokens: 0.5 }],
    ["a hash that is too short", { pricingHash: "00" }],
    ["a hash that is no hex", { pricingHash: "x".repeat(64) }],
  ])("is not made of %s", async (_, change) => {
    await expect(eventId({ ...published, ...change })).rejects.toThrow();
    await expect(framedEventId({ ...published, ...change })).rejects.toThrow();
  });
});

test("a key has one UUID, of version 8, and another key another", async () => {
  const uuids = await Promise.all(["awsbvuRJ", "awsbvuRJ", "awsbvuRK"].map(keyUuid));
  expect(uuids[0]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(uuids[1]).toBe(uuids[0]);
  expect(uuids[2]).not.toBe(uuids[0]);
  expect(uuids[0]).toBe("71d48181-0b21-8949-9e66-4888f9792178");
});
