import { existsSync } from "node:fs";
import { rm, rmdir } from "node:fs/promises";
import { dirname } from "node:path";
import type { FetchOptions, GgufSource } from "./fetch-model.ts";
import { digestFolderOf, fetchModel } from "./fetch-model.ts";
import type { GgufFile } from "./gguf.ts";
import { readGguf } from "./gguf.ts";
import type { DigestedFile, ModelDigest } from "./model-digest.ts";
import { modelDigest } from "./model-digest.ts";
import { ModelError } from "./model-error.ts";
import type { LoadedManifest } from "./model-manifest.ts";
import { assertMatches, describeForManifest } from "./model-manifest.ts";
import { shownUrl } from "./shown-url.ts";
import type { StoredModel } from "./store.ts";
import { ModelStore } from "./store.ts";

export interface AddModel {
  readonly name: string;
  readonly source: GgufSource;
  /** As it was typed. */
  readonly sourceText: string;
  readonly manifest: LoadedManifest | null;
  readonly options: FetchOptions;
  readonly onDigest?: (doneBytes: number, totalBytes: number) => void;
  readonly nowMs: number;
}

/**
 * Fetches a model, checks it and keeps it under a name. A model that is here already under another
 * name is not fetched, or not kept, twice. Throws ModelError, or the signal's reason.
 */
export async function addModel(add: AddModel): Promise<StoredModel> {
  const store = new ModelStore(add.options.modelsFolder);
  const promised = promisedDigest(add);
  const same = promised === null ? null : await sameModel(store, promised, add);
  const [first] = same?.files ?? [];
  if (same !== null && first !== undefined) {
    const file = readGguf(store.pathOf(first));
    return keep(store, add, file, { digest: same.digest, files: same.files });
  }
  const { path, digest: expected, isNew } = await fetchModel(add.source, add.options);
  let paths = [path];
  try {
    const file = readGguf(path);
    paths = [...file.paths];
    const own = await digestOf(add, file.paths);
    if (expected !== null && own.digest !== expected) {
      const rule = `its SHA-256 is ${own.digest} and should be ${expected}`;
      throw new ModelError("bad_file", `Cannot keep ${add.name}: ${rule}`);
    }
    const twin = isNew ? await sameModel(store, own.digest, add) : null;
    const isElsewhere = twin?.files.every((one) => store.pathOf(one) !== path) ?? false;
    if (twin === null || !isElsewhere) return await keep(store, add, file, own);
    const kept = await keep(store, add, file, { digest: own.digest, files: twin.files });
    await removeFiles(paths);
    return kept;
  } catch (error) {
    // What was only fetched for this, and is not what it should be, is nobody's.
    if (isNew && error instanceof ModelError) await removeFiles(paths);
    throw error;
  }
}

/** What a source that would be fetched must be, where that is known before. */
function promisedDigest({ source, manifest }: AddModel): string | null {
  if (source.kind === "bundled" || source.kind === "file" || source.kind === "stored") return null;
  return manifest?.manifest.digest ?? (source.kind === "url" ? source.sha256 : null);
}

/** A kept model of this identity whose files are there, and still are what they were. */
async function sameModel(
  store: ModelStore,
  digest: string,
  add: AddModel,
): Promise<StoredModel | null> {
  for (const model of await store.list()) {
    const paths = model.files.map((file) => store.pathOf(file));
    if (model.digest !== digest || !paths.every((path) => existsSync(path))) continue;
    const { files } = await digestOf(add, paths);
    if (files.every(({ sha256 }, at) => sha256 === model.files[at]?.sha256)) return model;
  }
  return null;
}

async function digestOf(
  { options, onDigest }: AddModel,
  paths: readonly string[],
): Promise<ModelDigest> {
  const progress = onDigest === undefined ? {} : { onProgress: onDigest };
  const cacheFolder = digestFolderOf(options.modelsFolder);
  return modelDigest(paths, { cacheFolder, signal: options.signal, ...progress });
}

interface Identity extends ModelDigest {
  readonly files: readonly (DigestedFile & { readonly path?: string })[];
}

async function keep(
  store: ModelStore,
  add: AddModel,
  file: GgufFile,
  identity: Identity,
): Promise<StoredModel> {
  if (add.manifest !== null) {
    assertMatches(add.manifest.manifest, describeForManifest(file, identity));
  }
  const entry: StoredModel = {
    v: 1,
    name: add.name,
    source: shownUrl(add.sourceText),
    digest: identity.digest,
    files: identity.files.map((one, at) => ({
      name: one.name,
      path: one.path ?? store.placeOf(file.paths[at] ?? ""),
      sha256: one.sha256,
      bytes: one.bytes,
    })),
    format: "gguf",
    architecture: file.architecture,
    quantization: file.quantization,
    parameters: file.parameterCount,
    context_tokens: file.contextTokens,
    added_ms: add.nowMs,
    last_used_ms: null,
    creator: add.manifest?.manifest.creator ?? null,
  };
  await store.put(entry, add.manifest?.text ?? null);
  return entry;
}

async function removeFiles(paths: readonly string[]): Promise<void> {
  for (const path of paths) await rm(path, { force: true });
  // The parts of a split model had a folder of their own.
  if (paths.length > 1) await rmdir(dirname(paths[0] ?? "")).catch(() => undefined);
}
