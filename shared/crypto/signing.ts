import { fromBase64Url, toBase64Url, utf8 } from "./bytes.ts";

/**
 * Ed25519 (RFC 8032) through WebCrypto, which workerd, Node 20 and browsers have. Every signature
 * covers a domain tag and a zero byte before the message, so that one made for a purpose is
 * worthless for another.
 */
export type SigningDomain =
  | "octo-auth-v1"
  | "octo-receipt-v1"
  | "octo-countersign-v1"
  | "octo-manifest-v1"
  | "octo-sign-in-v1"
  | "octo-attestation-v1";

export interface SigningKey {
  /** The raw public key of 32 bytes in base64url: 43 characters. */
  readonly publicKey: string;
  sign(domain: SigningDomain, message: string): Promise<string>;
}

/** A public key as it is written everywhere: 32 bytes in base64url. */
export const publicKeyPattern = /^[A-Za-z0-9_-]{43}$/;

/** A signature as it is written everywhere: 64 bytes in base64url. */
export const signaturePattern = /^[A-Za-z0-9_-]{86}$/;

/** What a signature covers: the domain's tag, a zero byte, and the message. */
export function signedBytes(domain: SigningDomain, message: string): Uint8Array<ArrayBuffer> {
  return utf8(`${domain}\0${message}`);
}

/** A fresh key pair, and its private half as PKCS #8 in base64url for storing. */
export async function generateSigningKey(): Promise<{ key: SigningKey; privateKey: string }> {
  const pair = (await crypto.subtle.generateKey("Ed25519", true, [
    "sign",
    "verify",
  ])) as CryptoKeyPair;
  const pkcs8 = (await crypto.subtle.exportKey("pkcs8", pair.privateKey)) as ArrayBuffer;
  const privateKey = toBase64Url(new Uint8Array(pkcs8));
  return { key: await importSigningKey(privateKey), privateKey };
}

/**
 * The signing key whose private half is `privateKey` (PKCS #8, base64url). Throws TypeError where
 * it is not an Ed25519 key.
 */
export async function importSigningKey(privateKey: string): Promise<SigningKey> {
  const pkcs8 = fromBase64Url(privateKey);
  if (pkcs8 === null) throw new TypeError("The private key is not base64url");
  const key = await importPrivateKey(pkcs8);
  const jwk = (await crypto.subtle.exportKey("jwk", key)) as JsonWebKey;
  if (jwk.x === undefined) throw new TypeError("The private key has no public half");
  return {
    publicKey: jwk.x,
    async sign(domain, message) {
      const signature = await crypto.subtle.sign("Ed25519", key, signedBytes(domain, message));
      return toBase64Url(new Uint8Array(signature));
    },
  };
}

async function importPrivateKey(pkcs8: Uint8Array<ArrayBuffer>): Promise<CryptoKey> {
  try {
    return await crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", true, ["sign"]);
  } catch (error) {
    // Each platform has errors of its own for bytes that are no such key.
    throw new TypeError("The private key is not an Ed25519 key in PKCS #8", { cause: error });
  }
}

export interface SignedMessage {
  readonly publicKey: string;
  readonly domain: SigningDomain;
  readonly message: string;
  readonly signature: string;
}

/** Resolved keys only: in workerd a promise made in one request must not be awaited in another. */
const importedKeys = new Map<string, CryptoKey>();
/**
 * A hub serves at most 256 workers; four times that keeps every live key imported and the map
 * bounded.
 */
const importedKeysMax = 1024;

/**
 * Whether `signature` was made over `message` by the owner of `publicKey`. Malformed input is a
 * plain false.
 */
export async function verifySignature(signed: SignedMessage): Promise<boolean> {
  if (!publicKeyPattern.test(signed.publicKey) || !signaturePattern.test(signed.signature))
    return false;
  const signature = fromBase64Url(signed.signature);
  if (signature === null) return false;
  const key = await importPublicKey(signed.publicKey);
  if (key === null) return false;
  return crypto.subtle.verify(
    "Ed25519",
    key,
    signature,
    signedBytes(signed.domain, signed.message),
  );
}

async function importPublicKey(publicKey: string): Promise<CryptoKey | null> {
  const known = importedKeys.get(publicKey);
  if (known !== undefined) return known;
  const raw = fromBase64Url(publicKey);
  if (raw === null) return null;
  try {
    const key = await crypto.subtle.importKey("raw", raw, "Ed25519", false, ["verify"]);
    if (importedKeys.size >= importedKeysMax) importedKeys.clear();
    importedKeys.set(publicKey, key);
    return key;
  } catch {
    // 32 bytes that are no point of the curve: nobody can have signed with them.
    return null;
  }
}
