import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, dirname, join, posix } from "node:path";
import type { Log } from "../../shared/log.ts";
import { chooseHubModel, smallerInWords } from "./choose-hub-model.ts";
import type { DownloadProgress } from "./download.ts";
import { downloadFile } from "./download.ts";
import type { GgufFile } from "./gguf.ts";
import type { HubFile } from "./hub.ts";
import { resolveHubFile } from "./hub.ts";
import type { HubModel } from "./hub-list.ts";
import { listHubModels } from "./hub-list.ts";
import type { HubChoiceSource } from "./hub-source.ts";
import { quantizationInName } from "./hub-source.ts";
import { assertFits, memoryNeed } from "./memory.ts";
import type { MemoryNeed } from "./memory.ts";
import { ModelError } from "./model-error.ts";
import type { ModelSource } from "./model-source.ts";
import { bundledModelPath, storedFileName } from "./model-source.ts";
import { readRemoteHeader } from "./remote-header.ts";
import { parseSplitName, partNames } from "./split-names.ts";
import { ModelStore } from "./store.ts";

export interface FetchOptions {
  readonly modelsFolder: string;
  readonly slots: number;
  /** The most context a slot gets; null is what the model was trained for. */
  readonly contextTokensMax: number | null;
  readonly freeBytes: number;
  readonly hubUrl: string;
  /** HF_TOKEN: for the hub's host alone. */
  readonly hubToken: string | null;
  readonly signal: AbortSignal;
  readonly log: Log;
  readonly onDownload?: (progress: DownloadProgress) => void;
}

export interface FetchedModel {
  /** The model's file; of a split one its first part. */
  readonly path: string;
  /** What the model's identity must be; null where nobody said. */
  readonly digest: string | null;
  /** Whether it was not on this disk before. */
  readonly isNew: boolean;
}

type HubFileSource = Extract<ModelSource, { kind: "hub" }>;
type UrlSource = Extract<ModelSource, { kind: "url" }>;

/** Where the files of fetched models remember their digests. */
export function digestFolderOf(modelsFolder: string): string {
  return join(modelsFolder, "digests");
}

/** Sources of models that llama.cpp runs. */
export type GgufSource = Extract<
  ModelSource,
  { kind: "bundled" | "file" | "stored" | "hub" | "hub-choice" | "url" }
>;

export function isGgufSource(source: ModelSource): source is GgufSource {
  const kinds: readonly string[] = ["bundled", "file", "stored", "hub", "hub-choice", "url"];
  return kinds.includes(source.kind);
}

/**
 * Fetches what a source names, unless it is here already: a model once fetched is served without
 * the network. What does not fit this machine is refused before it is fetched. Throws ModelError,
 * or the signal's reason.
 */
export async function fetchModel(source: GgufSource, options: FetchOptions): Promise<FetchedModel> {
  switch (source.kind) {
    case "bundled":
      return { path: bundledModelPath(), digest: null, isNew: false };
    case "file":
      return { path: source.path, digest: null, isNew: false };
    case "stored":
      return findStored(source.name, options.modelsFolder);
    case "hub-choice":
      return fetchChoice(source, options);
    case "hub":
    case "url":
      return fetchRemote(source, options);
  }
}

async function findStored(name: string, modelsFolder: string): Promise<FetchedModel> {
  const store = new ModelStore(modelsFolder);
  const entry = await store.get(name);
  const [first] = entry?.files ?? [];
  if (entry === null || first === undefined) {
    const advice = "see octo-worker models list";
    throw new ModelError("bad_source", `Cannot use ${name}: no model is kept under it; ${advice}`);
  }
  await store.touch(name, Date.now());
  return { path: store.pathOf(first), digest: entry.digest, isNew: false };
}

async function fetchRemote(
  source: HubFileSource | UrlSource,
  options: FetchOptions,
): Promise<FetchedModel> {
  const fetched = pathsOf(source, options.modelsFolder);
  const digest = source.kind === "url" ? source.sha256 : null;
  const isNew = !fetched.every((path) => existsSync(path));
  if (isNew) await fetchFiles(source, options, null);
  return { path: fetched[0] ?? "", digest, isNew };
}

async function fetchChoice(source: HubChoiceSource, options: FetchOptions): Promise<FetchedModel> {
  const known = await fetchedChoice(source, options.modelsFolder);
  if (known !== null) return { path: known, digest: null, isNew: false };
  const { hubUrl: baseUrl, hubToken: token, signal, freeBytes } = options;
  const models = await listHubModels(source, { baseUrl, token, signal });
  const { owner, repository, revision, quantization } = source;
  const fileOf = (model: HubModel): HubFileSource => ({
    kind: "hub",
    owner,
    repository,
    revision,
    file: model.file,
  });
  // All files of a repository are the same model: what it needs beside its weights is told by any.
  const [smallest] = models.toSorted((a, b) => a.bytes - b.bytes);
  const need =
    smallest === undefined ? null : await remoteNeed(fileOf(smallest), smallest, options);
  const besideWeightsBytes = need === null ? 0 : need.totalBytes - need.weightBytes;
  const memory = { freeBytes, besideWeightsBytes };
  const name = `hf:${owner}/${repository}`;
  const { model, reason } = chooseHubModel(models, { name, quantization }, memory);
  options.log("info", "Chose", { of: name, file: model.file, because: reason });
  const others = smallerInWords(models, freeBytes - besideWeightsBytes, model.bytes);
  const file = fileOf(model);
  await fetchFiles(file, options, { modelBytes: model.bytes, otherAdvice: others });
  return { path: pathsOf(file, options.modelsFolder)[0] ?? "", digest: null, isNew: true };
}

/** A file of the repository that was fetched before, and is what is wished for. */
async function fetchedChoice(source: HubChoiceSource, folder: string): Promise<string | null> {
  const { owner, repository, revision, quantization } = source;
  const pinned = revision === "main" ? [] : [revision];
  const prefix = `${[owner, repository, ...pinned].join("--")}--`;
  // What has this name may be of another revision, or lie deeper: the whole name tells.
  const isOurs = (place: string, file: string) =>
    storedFileName({ kind: "hub", owner, repository, revision, file }) === place;
  for (const name of (await readdir(folder).catch((): string[] => [])).toSorted()) {
    const isWished = quantization === null || quantizationInName(name) === quantization;
    if (!isWished || !name.startsWith(prefix)) continue;
    if (name.endsWith(".gguf")) {
      const file = name.slice(prefix.length);
      const bare = file.replace(/-[0-9a-f]{16}\.gguf$/, ".gguf");
      if ([file, bare].some((one) => isOurs(name, one))) return join(folder, name);
      continue;
    }
    const parts = await readdir(join(folder, name)).catch((): string[] => []);
    const first = parts.find((part) => parseSplitName(part)?.part === 1);
    if (first === undefined || !isOurs(`${name}/${first}`, first)) continue;
    if (partNames(first).every((part) => parts.includes(part))) return join(folder, name, first);
  }
  return null;
}

interface Known {
  readonly modelBytes: number;
  readonly otherAdvice: string | null;
}

async function fetchFiles(
  source: HubFileSource | UrlSource,
  options: FetchOptions,
  known: Known | null,
): Promise<void> {
  const { signal, onDownload, modelsFolder } = options;
  const paths = pathsOf(source, modelsFolder);
  const token = source.kind === "hub" ? options.hubToken : null;
  const remotes = [...remotesOf(source)];
  let isChecked = false;
  for (const [at, remote] of remotes.entries()) {
    const path = paths[at] ?? "";
    if (existsSync(path)) continue;
    const { url, sha256 } = await locate(remote, options);
    if (!isChecked && at === 0) await assertRemoteFits(url, token, options, known, remotes.length);
    isChecked = true;
    await downloadFile({
      url,
      // Of several parts, what a URL promises is the identity of all together.
      sha256: remotes.length > 1 && source.kind === "url" ? null : sha256,
      folder: dirname(path),
      fileName: basename(path),
      token,
      digestFolder: digestFolderOf(modelsFolder),
      signal,
      ...(onDownload === undefined ? {} : { onProgress: onDownload }),
    });
  }
}

async function locate(
  source: HubFileSource | UrlSource,
  { hubUrl: baseUrl, hubToken: token, signal }: FetchOptions,
): Promise<HubFile> {
  if (source.kind === "url") return { url: source.url, sha256: source.sha256 };
  return resolveHubFile(source, { baseUrl, token, signal });
}

/** The sources of all files of a model. */
function remotesOf(source: HubFileSource | UrlSource): (HubFileSource | UrlSource)[] {
  if (source.kind === "url") {
    const url = new URL(source.url);
    const { dir, base } = posix.parse(url.pathname);
    return partNames(base).map((part) => {
      const own = new URL(url);
      own.pathname = posix.join(dir, part);
      return { ...source, url: own.href };
    });
  }
  const { dir, base } = posix.parse(source.file);
  return partNames(base).map((part) => ({ ...source, file: posix.join(dir, part) }));
}

/** Where the files of a source lie once they are fetched. */
function pathsOf(source: HubFileSource | UrlSource, modelsFolder: string): string[] {
  return remotesOf(source).map((remote) => join(modelsFolder, storedFileName(remote)));
}

async function assertRemoteFits(
  url: string,
  token: string | null,
  options: FetchOptions,
  known: Known | null,
  parts: number,
): Promise<void> {
  // Of several files nobody told the size of, the first one's header says too little.
  if (known === null && parts > 1) return;
  const { modelsFolder: folder, signal } = options;
  const modelBytes = known?.modelBytes ?? 0;
  const file = await readRemoteHeader({ url, token, folder, modelBytes, signal });
  if (file === null) return;
  assertFits(file, shapeOf(file, options), options.freeBytes, known?.otherAdvice ?? null);
}

async function remoteNeed(
  source: HubFileSource,
  model: HubModel,
  options: FetchOptions,
): Promise<MemoryNeed | null> {
  const { hubToken: token, modelsFolder: folder, signal } = options;
  const { url } = await locate(source, options);
  const remote = { url, token, folder, modelBytes: model.bytes, signal };
  const file = await readRemoteHeader(remote);
  return file === null ? null : memoryNeed(file, shapeOf(file, options));
}

function shapeOf(
  file: GgufFile,
  { slots, contextTokensMax }: FetchOptions,
): { slots: number; contextTokens: number } {
  return { slots, contextTokens: Math.min(file.contextTokens, contextTokensMax ?? Infinity) };
}
