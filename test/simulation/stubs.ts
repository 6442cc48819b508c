import { type Terms, termsSchema } from "../../edge/billing/ticket.ts";
import type { SigningDomain } from "../../shared/crypto/signing.ts";
import { canonicalReceipt, type SignedReceipt } from "../../shared/protocol/receipt.ts";

/**
 * Cryptography as the simulation has it: hashes and signatures of the right form and none of the
 * strength, computed at once. Nobody in the simulation breaks a signature; what a worker signs
 * falsely it signs with its own key.
 */

const digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";

function mix(text: string, salt: number): number {
  let hash = 0x811c9dc5 ^ salt;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash ^= hash >>> 15;
  return Math.imul(hash, 0x2c1b3c6d) >>> 0;
}

/** `length` characters that stand for `text`. */
function spread(text: string, length: number, alphabet: string): string {
  let state = mix(text, length) || 1;
  let result = "";
  for (let i = 0; i < length; i++) {
    state = Math.imul(state ^ (state >>> 13), 0x5bd1e995) + i;
    result += alphabet[(state >>> 7) % alphabet.length] ?? "";
  }
  return result;
}

export function stubHash(text: string): string {
  return spread(text, 64, digits.slice(0, 16));
}

export function stubPublicKey(name: string): string {
  return spread(`key ${name}`, 43, digits);
}

/** An id's random part. */
export function stubId(name: string): string {
  return spread(`id ${name}`, 22, digits.slice(0, 62));
}

export function stubSignature(publicKey: string, domain: SigningDomain, message: string): string {
  return spread(`${publicKey}\0${domain}\0${message}`, 86, digits);
}

export function isReceiptSigned(signed: SignedReceipt): boolean {
  const { receipt, signature } = signed;
  return signature === stubSignature(receipt.worker, "octo-receipt-v1", canonicalReceipt(receipt));
}

export function sealTerms(terms: Terms): string {
  const body = JSON.stringify(terms);
  return `${body}.${stubHash(`ticket ${body}`)}`;
}

export function openTerms(ticket: string): Terms | null {
  const at = ticket.lastIndexOf(".");
  const body = ticket.slice(0, at);
  if (stubHash(`ticket ${body}`) !== ticket.slice(at + 1)) return null;
  return termsSchema.parse(JSON.parse(body));
}
