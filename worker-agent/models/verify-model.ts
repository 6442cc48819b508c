import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { readManifest } from "../../shared/protocol/manifest.ts";
import { fileDigest } from "./digest.ts";
import { identityOf } from "./model-digest.ts";
import type { ModelStore, StoredFile, StoredModel } from "./store.ts";

export interface VerifyOptions {
  readonly signal: AbortSignal;
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
}

/** What is wrong with a kept model, each as the rest of a sentence; nothing where all is well. */
export async function verifyModel(
  store: ModelStore,
  model: StoredModel,
  options: VerifyOptions,
): Promise<string[]> {
  const faults: string[] = [];
  for (const file of model.files) {
    const fault = await verifyFile(store.pathOf(file), file, options);
    if (fault !== null) faults.push(fault);
  }
  if (identityOf(model.files) !== model.digest) {
    faults.push("its entry names another digest than its files have");
  }
  if (model.creator !== null) {
    const fault = await verifyManifest(model, await store.manifestOf(model.name));
    if (fault !== null) faults.push(fault);
  }
  return faults;
}

/** Reads the whole file: what was remembered of it counts for nothing here. */
async function verifyFile(
  path: string,
  file: StoredFile,
  options: VerifyOptions,
): Promise<string | null> {
  if (!existsSync(path)) return `${path} is missing`;
  const { size } = await stat(path);
  if (size !== file.bytes) return `${path} has ${size} bytes and should have ${file.bytes}`;
  const sha256 = await fileDigest(path, { cacheFolder: null, ...options });
  if (sha256 === file.sha256) return null;
  return `the SHA-256 of ${path} is ${sha256} and should be ${file.sha256}`;
}

async function verifyManifest(model: StoredModel, text: string | null): Promise<string | null> {
  if (text === null) return "its manifest is missing";
  const read = await readManifest(text);
  if (read.kind === "invalid") return `its manifest cannot be used: ${read.reason}`;
  const { creator, digest } = read.manifest;
  const isOfModel = creator === model.creator && digest === model.digest;
  return isOfModel ? null : "its manifest is of another model";
}
