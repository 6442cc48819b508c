import { join, posix } from "node:path";
import { z } from "zod";
import { downloadFile, type DownloadProgress } from "./download.ts";
import { configSchema } from "./folder-config.ts";
import {
  chooseGraphs,
  exists,
  externalFiles,
  graphNames,
  missingGraphs,
  optionalFiles,
  readJson,
  requiredFiles,
} from "./folder-model.ts";
import type { FolderSource } from "./folder-source.ts";
import { resolveHubFile } from "./hub.ts";
import { ModelError } from "./model-error.ts";
import { sourceMark } from "./model-source.ts";
import type { SmallAnswer } from "./small-get.ts";
import { getSmall, jsonOf } from "./small-get.ts";

export interface FolderDownload {
  readonly modelsFolder: string;
  readonly digestFolder: string;
  readonly hubUrl: string;
  readonly hubToken: string | null;
  readonly signal: AbortSignal;
  readonly onDownload?: (progress: DownloadProgress) => void;
}

type HubPlace = Extract<FolderSource["place"], { kind: "hub" }>;

/**
 * Where a source's files are on this disk: those of a hub are fetched first. What was fetched once
 * is used without the network. Throws ModelError with one sentence, or the signal's reason.
 */
export async function fetchFolder(source: FolderSource, options: FolderDownload): Promise<string> {
  const { place } = source;
  if (place.kind === "folder") {
    if (await exists(place.path)) return place.path;
    throw new ModelError(
      "bad_file",
      `Cannot use the model in ${place.path}: there is no such folder`,
    );
  }
  const folder = join(options.modelsFolder, storedFolderName(place, source.dtype));
  if (!(await isWhole(folder, source))) await fetchAll(place, source, { ...options, folder });
  return folder;
}

/** Each choice of weights has its own folder, so that "the best that is there" is the hub's. */
function storedFolderName(place: HubPlace, dtype: FolderSource["dtype"]): string {
  const { owner, repository, revision } = place;
  const pinned = revision === "main" ? [] : [revision];
  const parts = [owner, repository, ...pinned, ...(dtype === null ? [] : [dtype])];
  // A revision may be named like a form of weights, and names may have dashes.
  const isPlain = parts.length === 2 && parts.every((part) => !part.includes("--"));
  const source = `onnx:hf:${owner}/${repository}@${revision}?dtype=${dtype ?? ""}`;
  return (isPlain ? parts : [...parts, sourceMark(source)]).join("--");
}

/** Weights come last, so a model whose weights are there has all its files. */
async function isWhole(folder: string, source: FolderSource): Promise<boolean> {
  if (!(await exists(join(folder, "config.json")))) return false;
  const config = (await readJson(folder, "config.json", configSchema)) ?? {};
  const has = (file: string): Promise<boolean> => exists(join(folder, file));
  const chosen = await chooseGraphs(graphNames(config), source.dtype, has);
  if (chosen === null) return false;
  const external = chosen.files.flatMap((graph) => externalFiles(folder, graph));
  return (await Promise.all(external.map(has))).every(Boolean);
}

type Fetch = FolderDownload & { readonly folder: string };

async function fetchAll(place: HubPlace, source: FolderSource, options: Fetch): Promise<void> {
  const listing = await listRepository(place, options);
  const has = (file: string): boolean => listing.files.has(file);
  // All files of one commit, even if the branch moves on meanwhile.
  const pinned = { ...place, revision: listing.commit };
  const missing = requiredFiles.find((file) => !has(file));
  const name = `${place.owner}/${place.repository}`;
  if (missing !== undefined) refuse(name, `it has no ${missing}`);
  for (const file of [...requiredFiles, ...optionalFiles].filter(has)) {
    await fetchFile(pinned, file, options);
  }
  const config = (await readJson(options.folder, "config.json", configSchema)) ?? {};
  const graphs = graphNames(config);
  const chosen = await chooseGraphs(graphs, source.dtype, (file) => Promise.resolve(has(file)));
  if (chosen === null) refuse(name, missingGraphs(graphs, source.dtype));
  for (const graph of chosen.files) {
    await fetchFile(pinned, graph, options);
    for (const file of externalFiles(options.folder, graph)) {
      if (!has(file)) refuse(name, `${graph} needs ${file}, which it does not have`);
      await fetchFile(pinned, file, options);
    }
  }
}

async function fetchFile(place: HubPlace, file: string, options: Fetch): Promise<void> {
  const { hubUrl: baseUrl, hubToken: token, signal, folder, digestFolder, onDownload } = options;
  if (await exists(join(folder, file))) return;
  const remote = await resolveHubFile({ ...place, file }, { baseUrl, token, signal });
  await downloadFile({
    ...remote,
    folder: join(folder, posix.dirname(file)),
    fileName: posix.basename(file),
    token,
    digestFolder,
    signal,
    ...(onDownload === undefined ? {} : { onProgress: onDownload }),
  });
}

const listingSchema = z.looseObject({
  sha: z.string().regex(/^[0-9a-f]{40,64}$/),
  siblings: z.array(z.looseObject({ rfilename: z.string() })),
});

/** The files of a repository at a revision, and the commit that is. */
async function listRepository(
  place: HubPlace,
  { hubUrl, hubToken: token, signal }: FolderDownload,
): Promise<{ files: ReadonlySet<string>; commit: string }> {
  const name = `${place.owner}/${place.repository}`;
  const base = hubUrl.replace(/\/+$/, "");
  let response: SmallAnswer;
  try {
    const url = `${base}/api/models/${name}/revision/${place.revision}`;
    response = await getSmall(url, { token, signal });
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof ModelError) throw cause;
    throw new ModelError("download_failed", `Cannot reach ${base} for ${name}`, { cause });
  }
  if (response.status === 401 || response.status === 403) {
    refuse(name, `the hub answers ${response.status}; set HF_TOKEN to a token that may read it`);
  }
  if (response.status === 404) refuse(name, `the hub has no such model at ${place.revision}`);
  if (!response.ok) refuse(name, `the hub answers ${response.status}`);
  const parsed = listingSchema.safeParse(jsonOf(response.text));
  if (!parsed.success) refuse(name, "the hub does not list its files");
  const { sha, siblings } = parsed.data;
  return { commit: sha, files: new Set(siblings.map(({ rfilename }) => rfilename)) };
}

function refuse(name: string, reason: string): never {
  throw new ModelError("download_failed", `Cannot download ${name}: ${reason}`);
}
