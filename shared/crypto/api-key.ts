import { base62, crc32, randomBase62, toHex, utf8 } from "./bytes.ts";
import type { RandomBytes } from "../ids.ts";
import { randomBytes } from "../ids.ts";

/** The parts of `octo_sk_<env>_<id>_<secret>_<crc>`. Only `id` may be logged. */
export interface ApiKey {
  readonly env: string;
  readonly id: string;
  readonly secret: string;
}

const pattern = /^octo_sk_([a-z]{1,8})_([0-9A-Za-z]{8})_([0-9A-Za-z]{43})_([0-9A-Za-z]{6})$/;

/** A new key for an environment (`live`, `dev`): 47 random bits of id, 256 of secret. */
export function newApiKey(env: string, random: RandomBytes = randomBytes): ApiKey {
  return { env, id: randomBase62(8, random), secret: randomBase62(43, random) };
}

/** The key as its owner sees it, once. */
export function formatApiKey(key: ApiKey): string {
  const body = bodyOf(key);
  return `${body}_${checksum(body)}`;
}

/**
 * The parts of a presented key, or null where its form or checksum is wrong: no look-up is spent on
 * a typo.
 */
export function parseApiKey(text: string): ApiKey | null {
  const match = pattern.exec(text);
  if (match === null) return null;
  const [, env, id, secret, crc] = match;
  if (env === undefined || id === undefined || secret === undefined) return null;
  if (checksum(text.slice(0, text.lastIndexOf("_"))) !== crc) return null;
  return { env, id, secret };
}

/** The id in a text of a key's form, or null; whether its checksum is right is not looked at. */
export function apiKeyIdOf(text: string): string | null {
  return pattern.exec(text)?.[2] ?? null;
}

/**
 * What is stored of a key: HMAC-SHA-256 under the deployment's pepper, in hex. Who reads the
 * database alone can neither try secrets nor move a hash to a key of another id or environment,
 * which it covers too. A slow hash adds nothing to 256 random bits.
 */
export async function apiKeyHash(key: ApiKey, pepper: string): Promise<string> {
  const hmac = { name: "HMAC", hash: "SHA-256" };
  const secret = await crypto.subtle.importKey("raw", utf8(pepper), hmac, false, ["sign"]);
  return toHex(new Uint8Array(await crypto.subtle.sign("HMAC", secret, utf8(bodyOf(key)))));
}

function bodyOf({ env, id, secret }: ApiKey): string {
  return `octo_sk_${env}_${id}_${secret}`;
}

function checksum(body: string): string {
  const crc = crc32(body);
  return base62(Uint8Array.of(crc >>> 24, crc >>> 16, crc >>> 8, crc), 6);
}
