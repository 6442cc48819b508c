import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import {
  generateSigningKey,
  importSigningKey,
  type SigningKey,
} from "../../shared/crypto/signing.ts";
import { CommandError } from "../failures.ts";
import { fileError, hasCode, readPrivateFile, writeNewFile } from "./private-file.ts";

/*
 * A wallet is an Ed25519 private key as PKCS #8 in PEM (RFC 7468, RFC 8410): what `openssl genpkey
 * -algorithm ed25519` writes.
 */

/** Makes a key file. Throws CommandError where there is one: a lost key is a lost account. */
export async function createWallet(path: string): Promise<SigningKey> {
  const { key, privateKey } = await generateSigningKey();
  const base64 = Buffer.from(privateKey, "base64url").toString("base64");
  const lines = base64.match(/.{1,64}/g) ?? [];
  const pem = `-----BEGIN PRIVATE KEY-----\n${lines.join("\n")}\n-----END PRIVATE KEY-----\n`;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeNewFile(path, pem);
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw fileError("write", path, error);
    throw new CommandError(`Cannot make a wallet: ${path} is there already; leave --new out`);
  }
  return key;
}

/** The key in a file. Throws CommandError where there is none, or others may read it. */
export async function loadWallet(path: string): Promise<SigningKey> {
  const text = await readPrivateFile(path);
  if (text === null) {
    throw new CommandError(`There is no wallet ${path}; octo login --wallet FILE --new makes one`);
  }
  const form = /^-----BEGIN PRIVATE KEY-----\s([\sA-Za-z0-9+/=]+)-----END PRIVATE KEY-----\s*$/;
  const base64 = form.exec(text)?.[1] ?? "";
  try {
    return await importSigningKey(Buffer.from(base64, "base64").toString("base64url"));
  } catch (cause) {
    const message = `Cannot use ${path}: it holds no Ed25519 private key (PKCS #8, PEM)`;
    throw new CommandError(message, { cause });
  }
}
