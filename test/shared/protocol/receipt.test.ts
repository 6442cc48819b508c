import { describe, expect, test } from "vitest";
import { generateSigningKey } from "../../../shared/crypto/signing.ts";
import {
  canonicalReceipt,
  countersign,
  type Receipt,
  receiptSchema,
  signedReceiptSchema,
  signReceipt,
  verifyCountersignature,
  verifyReceipt,
} from "../../../shared/protocol/receipt.ts";
import { canonicalJson, type JsonValue } from "../../../shared/crypto/jcs.ts";
import { sampleReceipt } from "../../helpers/frames.ts";

/** For every field another value that is just as valid. */
const otherValues: {
  readonly [Field in Exclude<keyof Receipt, "v" | "prefix_hash">]: Receipt[Field];
} = {
  attempt: "tsk_0123456789ABCDEFGHIJkl.2",
  worker: "B".repeat(42) + "A",
  model: "1f".repeat(32),
  prompt_hash: "1f".repeat(32),
  output_hash: "1f".repeat(32),
  outcome: "cancelled",
  prompt_tokens: 13,
  completion_tokens: 35,
  input_micros_per_million: 150_001,
  output_micros_per_million: 600_001,
  started_ms: 1_700_000_000_001,
  first_token_ms: null,
  ended_ms: 1_700_000_001_001,
};

async function signedByWorker() {
  const { key } = await generateSigningKey();
  return { key, signed: await signReceipt({ ...sampleReceipt, worker: key.publicKey }, key) };
}

describe("receipts", () => {
  test("a receipt verifies under its worker's signature, after a journey as JSON too", async () => {
    const { signed } = await signedByWorker();
    expect(await verifyReceipt(signed)).toBe(true);
    const travelled = signedReceiptSchema.parse(JSON.parse(JSON.stringify(signed)));
    expect(await verifyReceipt(travelled)).toBe(true);
  });

  test("the order of its fields does not matter to its signature", async () => {
    const { signed } = await signedByWorker();
    const entries = Object.entries(signed.receipt).toReversed();
    const receipt = receiptSchema.parse(Object.fromEntries(entries));
    expect(await verifyReceipt({ ...signed, receipt })).toBe(true);
  });

  test.each(Object.entries(otherValues))("another %s is another receipt", async (field, value) => {
    const { signed } = await signedByWorker();
    const receipt = receiptSchema.parse({ ...signed.receipt, [field]: value });
    expect(receipt).not.toEqual(signed.receipt);
    expect(await verifyReceipt({ ...signed, receipt })).toBe(false);
  });

  test("a receipt signed by somebody else than its worker is refused", async () => {
    const { signed } = await signedByWorker();
    const { key: other } = await generateSigningKey();
    const forged = await signReceipt(signed.receipt, other);
    expect(await verifyReceipt(forged)).toBe(false);
  });

  test("the signed bytes are RFC 8785 JSON, the same for ever", () => {
    expect(canonicalReceipt(sampleReceipt)).toBe(
      `{"attempt":"tsk_0123456789ABCDEFGHIJkl.1","completion_tokens":34,` +
        `"ended_ms":1700000001000,"first_token_ms":1700000000100,` +
        `"input_micros_per_million":150000,"model":"${"0f".repeat(32)}","outcome":"complete",` +
        `"output_hash":"${"ab".repeat(32)}","output_micros_per_million":600000,` +
        `"prompt_hash":"${"0f".repeat(32)}","prompt_tokens":12,"started_ms":1700000000000,` +
        `"v":1,"worker":"${"A".repeat(43)}"}`,
    );
  });

  test.each([
    ["a negative count", { prompt_tokens: -1 }],
    ["a fraction of a token", { completion_tokens: 0.5 }],
    ["more tokens than any model makes", { completion_tokens: 100_000_001 }],
    ["a hash in capitals", { output_hash: "AB".repeat(32) }],
    ["another version", { v: 2 }],
    ["an unknown field", { tip: 1 }],
    ["a missing field", { ended_ms: undefined }],
  ])("%s is no receipt", (_case, change) => {
    expect(receiptSchema.safeParse({ ...sampleReceipt, ...change }).success).toBe(false);
  });
});

describe("countersignatures", () => {
  test("the edge's signature covers the receipt and its worker's signature", async () => {
    const { signed } = await signedByWorker();
    const { key: edge } = await generateSigningKey();
    const { key: other } = await generateSigningKey();
    const signature = await countersign(signed, edge);
    const by = { publicKey: edge.publicKey, signature };
    expect(await verifyCountersignature(signed, by)).toBe(true);
    expect(await verifyCountersignature(signed, { ...by, publicKey: other.publicKey })).toBe(false);
    const altered = { ...signed, receipt: { ...signed.receipt, prompt_tokens: 13 } };
    expect(await verifyCountersignature(altered, by)).toBe(false);
    const moved = { ...signed, signature: `B${signed.signature.slice(1)}` };
    expect(await verifyCountersignature(moved, by)).toBe(moved.signature === signed.signature);
  });

  test("a worker's own signature is no countersignature", async () => {
    const { key, signed } = await signedByWorker();
    const by = { publicKey: key.publicKey, signature: signed.signature };
    expect(await verifyCountersignature(signed, by)).toBe(false);
  });
});

test("a continuation's receipt covers what it went on from, and is of version 2 alone", async () => {
  const { key } = await generateSigningKey();
  const continued: Receipt = {
    ...sampleReceipt,
    v: 2,
    worker: key.publicKey,
    prefix_hash: "cd".repeat(32),
  };
  expect(canonicalReceipt(continued)).toBe(canonicalJson(continued as JsonValue));
  const signed = await signReceipt(continued, key);
  expect(signedReceiptSchema.parse(signed)).toEqual(signed);
  expect(await verifyReceipt(signed)).toBe(true);
  const { prefix_hash: _, ...cut } = continued;
  for (const receipt of [{ ...continued, prefix_hash: "ce".repeat(32) }, cut] as Receipt[]) {
    expect(await verifyReceipt({ ...signed, receipt })).toBe(false);
  }
  expect(receiptSchema.safeParse(cut).success).toBe(false);
  expect(receiptSchema.safeParse({ ...continued, v: 1 }).success).toBe(false);
});
