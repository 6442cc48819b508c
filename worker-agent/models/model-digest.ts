import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { canonicalJson } from "../../shared/crypto/jcs.ts";
import type { DigestOptions } from "./digest.ts";
import { fileDigest } from "./digest.ts";

export interface DigestedFile {
  readonly name: string;
  readonly sha256: string;
  readonly bytes: number;
}

export interface ModelDigest {
  /** The identity of the model: chat template and quantization lie in its files. */
  readonly digest: string;
  readonly files: readonly DigestedFile[];
}

/** Reads all files of a model. Throws the signal's reason when aborted. */
export async function modelDigest(
  paths: readonly string[],
  options: DigestOptions,
): Promise<ModelDigest> {
  const files: DigestedFile[] = [];
  for (const path of paths) {
    const { size } = await stat(path);
    const sha256 = await fileDigest(path, options);
    files.push({ name: basename(path), sha256, bytes: size });
  }
  return { digest: identityOf(files), files };
}

/**
 * The SHA-256 of the one file; of several that of the canonical JSON (RFC 8785) of their digests by
 * name, so that no part can be swapped.
 */
export function identityOf(files: readonly Pick<DigestedFile, "name" | "sha256">[]): string {
  const [only] = files;
  if (files.length === 1 && only !== undefined) return only.sha256;
  const digestsByName = Object.fromEntries(files.map(({ name, sha256 }) => [name, sha256]));
  return createHash("sha256").update(canonicalJson(digestsByName)).digest("hex");
}

/** The identity of a model that is asked through another chat template than its files have. */
export function identityWithTemplate(digest: string, template: string): string {
  const chatTemplate = createHash("sha256").update(template).digest("hex");
  const both = canonicalJson({ chat_template: chatTemplate, model: digest });
  return createHash("sha256").update(both).digest("hex");
}
