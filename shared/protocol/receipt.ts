import { z } from "zod";
import type { JsonValue } from "../crypto/jcs.ts";
import { canonicalJson } from "../crypto/jcs.ts";
import { sha256Hex } from "../crypto/bytes.ts";
import type { SigningKey } from "../crypto/signing.ts";
import { publicKeyPattern, signaturePattern, verifySignature } from "../crypto/signing.ts";
import type { OutputPart } from "../openai/output.ts";

const hash = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.int().min(0).max(100_000_000);
const price = z.int().min(0).max(1_000_000_000);
const time = z.int().min(0);

/** What a worker vouches for after one attempt. Hashes only: no prompt and no answer is in it. */
export const receiptSchema = z
  .strictObject({
    /** 2 where the attempt went on from another's answer: then only what is new is counted. */
    v: z.literal([1, 2]),
    attempt: z.string().max(64),
    worker: z.string().regex(publicKeyPattern),
    model: hash,
    prompt_hash: hash,
    output_hash: hash,
    outcome: z.enum(["complete", "cancelled"]),
    prompt_tokens: count,
    completion_tokens: count,
    input_micros_per_million: price,
    output_micros_per_million: price,
    started_ms: time,
    first_token_ms: time.nullable(),
    ended_ms: time,
    /** Of version 2 alone: SHA-256 of the text that was gone on from. */
    prefix_hash: hash.optional(),
  })
  .refine(({ v, prefix_hash: prefix }) => (v === 2) === (prefix !== undefined), {
    path: ["prefix_hash"],
    error: "belongs to version 2",
  });
export type Receipt = z.infer<typeof receiptSchema>;

export const signedReceiptSchema = z.strictObject({
  receipt: receiptSchema,
  signature: z.string().regex(signaturePattern),
});
export type SignedReceipt = z.infer<typeof signedReceiptSchema>;

/** Signs the canonical bytes of `receipt` as its worker. */
export async function signReceipt(receipt: Receipt, key: SigningKey): Promise<SignedReceipt> {
  return { receipt, signature: await key.sign("octo-receipt-v1", canonicalReceipt(receipt)) };
}

/** Whether the worker named in the receipt signed exactly this receipt. */
export async function verifyReceipt(signed: SignedReceipt): Promise<boolean> {
  return verifySignature({
    publicKey: signed.receipt.worker,
    domain: "octo-receipt-v1",
    message: canonicalReceipt(signed.receipt),
    signature: signed.signature,
  });
}

const canonicalByReceipt = new WeakMap<Receipt, string>();

/** The bytes a receipt's signatures cover, as text: RFC 8785 canonical JSON. */
export function canonicalReceipt(receipt: Receipt): string {
  // A receipt is checked, countersigned and stored one after the other.
  const known = canonicalByReceipt.get(receipt);
  if (known !== undefined) return known;
  const canonical = canonicalJson(receipt);
  canonicalByReceipt.set(receipt, canonical);
  return canonical;
}

/** The edge's signature says that it relayed an attempt under this worker's signature. */
export async function countersign(signed: SignedReceipt, key: SigningKey): Promise<string> {
  return key.sign(
    "octo-countersign-v1",
    `${canonicalReceipt(signed.receipt)}\n${signed.signature}`,
  );
}

/** Whether the edge with `edgeKey` countersigned. */
export async function verifyCountersignature(
  signed: SignedReceipt,
  edge: { readonly publicKey: string; readonly signature: string },
): Promise<boolean> {
  return verifySignature({
    ...edge,
    domain: "octo-countersign-v1",
    message: `${canonicalReceipt(signed.receipt)}\n${signed.signature}`,
  });
}

/** Tokens whose text is held back: half a character, or what may begin a stop sequence. */
const tokenIdSlack = 64;

interface ChoiceTranscript {
  text: string;
  reasoning: string;
  readonly toolsByIndex: Map<number, { id: string; name: string; arguments: string }>;
}

/**
 * Gathers an answer's parts into what `output_hash` covers; both ends of the wire keep one. How the
 * answer was cut into parts does not show in it, so that whoever has the answer can check the hash.
 */
export class OutputTranscript {
  readonly #choices: ChoiceTranscript[] = [];
  /** UTF-8 bytes of everything gathered: no tokenizer makes more tokens than bytes. */
  bytes = 0;
  tokens = 0;
  /**
   * The tokens that spell at least the text of choice 0, in order; null once a part of it came
   * without, or where they are not wanted.
   */
  tokenIds: number[] | null;

  constructor(isNamed = true) {
    this.tokenIds = isNamed ? [] : null;
  }

  add(part: OutputPart): void {
    while (this.#choices.length <= part.index) {
      this.#choices.push({ text: "", reasoning: "", toolsByIndex: new Map() });
    }
    const choice = this.#choices[part.index];
    if (choice === undefined) return;
    this.tokens += part.tokens;
    if (part.index === 0) this.#addTokenIds(part);
    choice.text += part.text ?? "";
    choice.reasoning += part.reasoning ?? "";
    for (const delta of part.tool_calls ?? []) {
      const call = choice.toolsByIndex.get(delta.index) ?? { id: "", name: "", arguments: "" };
      call.id += delta.id ?? "";
      call.name += delta.name ?? "";
      call.arguments += delta.arguments ?? "";
      choice.toolsByIndex.set(delta.index, call);
    }
    this.bytes += partBytes(part);
  }

  #addTokenIds({ token_ids: ids, text = "", tokens }: OutputPart): void {
    if (this.tokenIds === null) return;
    const isUnknown = ids === undefined && (text !== "" || tokens > 0);
    const count = this.tokenIds.length + (ids?.length ?? 0);
    // Nobody has many more tokens than bytes: what claims to is no list of tokens.
    const most = Math.min(this.tokens, this.bytes + utf8Length(text)) + tokenIdSlack;
    if (isUnknown || count > most) this.tokenIds = null;
    else if (ids !== undefined) for (const id of ids) this.tokenIds.push(id);
  }

  /** Whether anything of choice `index` is more than plain text. */
  isPlain(index: number): boolean {
    const choice = this.#choices[index];
    return choice === undefined || (choice.reasoning === "" && choice.toolsByIndex.size === 0);
  }

  /** The text of choice `index` so far. */
  text(index: number): string {
    return this.#choices[index]?.text ?? "";
  }

  /** SHA-256 of `canonical`, in hexadecimal: a receipt's `output_hash`. */
  async hash(): Promise<string> {
    return sha256Hex(this.canonical());
  }

  /**
   * All choices as canonical JSON. Choices of nothing at the end are left out: whoever has the
   * answer cannot tell whether a part without text ever came of them.
   */
  canonical(): string {
    const last = this.#choices.findLastIndex(
      ({ text, reasoning, toolsByIndex }) => text + reasoning !== "" || toolsByIndex.size > 0,
    );
    const choices: JsonValue = this.#choices.slice(0, last + 1).map((choice) => ({
      text: choice.text.toWellFormed(),
      reasoning: choice.reasoning.toWellFormed(),
      tools: [...choice.toolsByIndex]
        .toSorted(([a], [b]) => a - b)
        .map(([index, call]) => ({
          index,
          id: call.id.toWellFormed(),
          name: call.name.toWellFormed(),
          arguments: call.arguments.toWellFormed(),
        })),
    }));
    return canonicalJson(choices);
  }
}

/** UTF-8 bytes of what a part delivers: text, reasoning and tool calls. */
export function partBytes(part: OutputPart): number {
  let bytes = utf8Length(part.text ?? "") + utf8Length(part.reasoning ?? "");
  for (const call of part.tool_calls ?? []) {
    bytes += utf8Length(call.name ?? "") + utf8Length(call.arguments ?? "");
  }
  return bytes;
}

/** UTF-8 length without encoding: called for every frame. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    // A surrogate pair is four bytes from two units; every other unit above 0x7ff is three bytes.
    if (unit < 0x800 || (unit >= 0xd800 && unit < 0xe000)) bytes += 1;
    else bytes += 2;
  }
  return bytes;
}
