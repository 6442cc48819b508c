import { createPrivateKey, sign } from "node:crypto";
import { mkdir, open, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { SigningKey } from "../shared/crypto/signing.ts";
import { generateSigningKey, importSigningKey, signedBytes } from "../shared/crypto/signing.ts";

/** A worker's identity cannot be made or used: the message is one sentence with the remedy. */
export class IdentityError extends Error {
  override readonly name = "IdentityError";
}

/** Where the private key of the worker in `stateDir` is. */
export function identityPath(stateDir: string): string {
  return join(stateDir, "identity.key");
}

/** Makes the folder that holds a worker's key and receipts: for its owner only. */
export async function makeStateDir(stateDir: string): Promise<void> {
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
}

/**
 * Makes a new identity: an Ed25519 private key as PKCS #8 in PEM, readable by its owner only.
 * Throws IdentityError where there is one already, because whoever loses the key loses the worker's
 * reputation.
 */
export async function createIdentity(stateDir: string): Promise<SigningKey> {
  await makeStateDir(stateDir);
  const path = identityPath(stateDir);
  const generated = await generateSigningKey();
  const { privateKey } = generated;
  const key = signingAtOnce(generated.key, privateKey);
  const file = await open(path, "wx", 0o600).catch((error: unknown) => {
    if (!hasCode(error, "EEXIST")) throw error;
    throw new IdentityError(`Cannot create an identity: ${path} holds one already`);
  });
  try {
    await file.writeFile(toPem(privateKey));
    await file.datasync();
  } finally {
    await file.close();
  }
  return key;
}

/**
 * The identity in `stateDir`, or null where there is none. Throws IdentityError where its file must
 * not be used.
 */
export async function loadIdentity(stateDir: string): Promise<SigningKey | null> {
  return loadKey(identityPath(stateDir));
}

/** The key in the file at `path`, or null where there is none. Throws as `loadIdentity` does. */
export async function loadKey(path: string): Promise<SigningKey | null> {
  const found = await stat(path).catch((error: unknown) => {
    if (hasCode(error, "ENOENT")) return null;
    throw error;
  });
  if (found === null) return null;
  // Windows has no such bits: there a profile's folder is its owner's.
  if (process.platform !== "win32" && (found.mode & 0o077) !== 0) {
    const mode = (found.mode & 0o777).toString(8);
    throw new IdentityError(
      `Cannot use the identity ${path}: others may read it (mode ${mode}); run chmod 600 ${path}`,
    );
  }
  const privateKey = fromPem(await readFile(path, "utf8"));
  try {
    return signingAtOnce(await importSigningKey(privateKey), privateKey);
  } catch (cause) {
    throw new IdentityError(
      `Cannot use the identity ${path}: it holds no Ed25519 private key (PKCS #8, PEM)`,
      { cause },
    );
  }
}

/**
 * The same key, signing on this thread: a signature takes less time than the way to another thread
 * and back, and an answer that is complete at once then leaves in one message with its receipt.
 */
function signingAtOnce(key: SigningKey, privateKey: string): SigningKey {
  const pkcs8 = Buffer.from(privateKey, "base64url");
  const keyObject = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
  return {
    publicKey: key.publicKey,
    sign: async (domain, message) =>
      sign(null, signedBytes(domain, message), keyObject).toString("base64url"),
  };
}

function toPem(privateKey: string): string {
  const base64 = Buffer.from(privateKey, "base64url").toString("base64");
  const lines = base64.match(/.{1,64}/g) ?? [];
  return `-----BEGIN PRIVATE KEY-----\n${lines.join("\n")}\n-----END PRIVATE KEY-----\n`;
}

/** The PKCS #8 bytes in base64url; of anything else, text that is no key. */
function fromPem(text: string): string {
  const match = /^-----BEGIN PRIVATE KEY-----\s([\sA-Za-z0-9+/=]+)-----END PRIVATE KEY-----\s*$/;
  return Buffer.from(match.exec(text)?.[1] ?? "", "base64").toString("base64url");
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
