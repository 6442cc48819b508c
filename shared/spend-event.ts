import { assert } from "./assert.ts";
import { sha256, toHex, utf8 } from "./crypto/bytes.ts";

/** Who counted the tokens: the provider's own usage, or a tokenizer that both sides pin. */
export type TokenSource = "provider" | "tokenizer";

/** What makes one act of spending this one and no other. */
export interface SpendEvent {
  readonly requestId: string;
  /** Lower-case text of a UUID. */
  readonly keyUuid: string;
  readonly provider: string;
  readonly model: string;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** SHA-256 of the prices, in hex. */
  readonly pricingHash: string;
  readonly tokenSource: TokenSource;
}

/**
 * The id of an event as RFC-0909 of CipherOcto has it: SHA-256 of the fields one after another, in
 * hex. Nothing is between them, so that two events may share an id where the end of one text could
 * be the beginning of the next; `framedEventId` is without that.
 */
export async function eventId(event: SpendEvent): Promise<string> {
  return hashOf(fieldsOf(event));
}

/**
 * The same of fields that each have their length before them, as 32 bits little-endian, after the
 * name of this form: no two events have one id.
 */
export async function framedEventId(event: SpendEvent): Promise<string> {
  const fields = [utf8("octo-spend-event-v1"), ...fieldsOf(event)];
  return hashOf(fields.flatMap((field) => [fourBytes(field.length), field]));
}

/**
 * The UUID that stands for an API key where a UUID is wanted: version 8 (RFC 9562 section 5.8), its
 * bits being the first of SHA-256 over `octo-api-key:` and the key's id. Anybody can work it out.
 */
export async function keyUuid(keyId: string): Promise<string> {
  const bytes = (await sha256(utf8(`octo-api-key:${keyId}`))).slice(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = toHex(bytes);
  const ends = [8, 12, 16, 20, 32];
  return ends.map((end, at) => hex.slice(at === 0 ? 0 : ends[at - 1], end)).join("-");
}

const textBytesMax = 1_024;

function fieldsOf(event: SpendEvent): Uint8Array<ArrayBuffer>[] {
  const { requestId, keyUuid, provider, model, inputTokens, outputTokens, pricingHash } = event;
  const id = utf8(requestId);
  assert(id.length >= 1 && id.length <= textBytesMax, "a request id has 1 to 1024 bytes");
  assert(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(keyUuid), `${keyUuid} is a UUID`);
  return [
    id,
    utf8(keyUuid),
    utf8(provider),
    utf8(model),
    fourBytes(inputTokens),
    fourBytes(outputTokens),
    bytesOfHex(pricingHash),
    utf8(event.tokenSource),
  ];
}

async function hashOf(parts: readonly Uint8Array[]): Promise<string> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return toHex(await sha256(whole));
}

function fourBytes(value: number): Uint8Array<ArrayBuffer> {
  const isCount = Number.isInteger(value) && value >= 0 && value < 2 ** 32;
  assert(isCount, `${value} is a count of 32 bits`);
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

function bytesOfHex(hex: string): Uint8Array<ArrayBuffer> {
  assert(/^[0-9a-f]{64}$/.test(hex), "a pricing hash is 32 bytes in hex");
  return Uint8Array.from({ length: 32 }, (_, at) =>
    Number.parseInt(hex.slice(2 * at, 2 * at + 2), 16),
  );
}
