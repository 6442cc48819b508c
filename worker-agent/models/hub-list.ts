import { basename } from "node:path";
import { z } from "zod";
import type { HubOptions } from "./hub.ts";
import type { HubChoiceSource } from "./hub-source.ts";
import { quantizationInName } from "./hub-source.ts";
import { ModelError } from "./model-error.ts";
import type { SmallAnswer } from "./small-get.ts";
import { getSmall, jsonOf } from "./small-get.ts";
import { parseSplitName } from "./split-names.ts";

/** One model of a repository: a file, or all parts of a split one. */
export interface HubModel {
  /** The file to name, of a split model the first. */
  readonly file: string;
  readonly bytes: number;
  readonly quantization: string | null;
}

const entrySchema = z.object({
  type: z.string(),
  path: z.string().max(1024),
  size: z.number().min(0).optional(),
});
/** The hub gives a thousand files at a time; more pages than this are no repository of models. */
const pagesMax = 10;

/** The GGUF models of a repository. Throws ModelError `download_failed` where it cannot be read. */
export async function listHubModels(
  source: HubChoiceSource,
  options: HubOptions,
): Promise<HubModel[]> {
  const { owner, repository, revision } = source;
  const what = `${owner}/${repository} at ${revision}`;
  const base = options.baseUrl.replace(/\/+$/, "");
  let url: string | null =
    `${base}/api/models/${owner}/${repository}/tree/${revision}?recursive=true`;
  const files: { path: string; bytes: number }[] = [];
  for (let page = 0; url !== null && page < pagesMax; page++) {
    const response: SmallAnswer = await ask(url, what, options);
    const parsed = z.array(entrySchema).safeParse(jsonOf(response.text));
    if (!parsed.success) {
      throw new ModelError("download_failed", `Cannot list ${what}: the hub's answer is no list`);
    }
    for (const { type, path, size } of parsed.data) {
      if (type === "file" && isModel(path)) files.push({ path, bytes: size ?? 0 });
    }
    url = nextPage(response, base);
  }
  return joinParts(files);
}

async function ask(url: string, what: string, options: HubOptions): Promise<SmallAnswer> {
  const { token, signal } = options;
  let response: SmallAnswer;
  try {
    response = await getSmall(url, { token, signal });
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof ModelError) throw cause;
    const message = `Cannot reach ${new URL(url).origin} to list ${what}`;
    throw new ModelError("download_failed", message, { cause });
  }
  if (response.ok) return response;
  const isLocked = response.status === 401 || response.status === 403;
  const advice = token === null ? "set HF_TOKEN if it is private or gated" : "is its name right?";
  const reason = isLocked || response.status === 404 ? `; ${advice}` : "";
  const message = `Cannot list ${what}: the hub answered ${response.status}${reason}`;
  throw new ModelError("download_failed", message);
}

/** The next page (RFC 8288), on the hub itself only: it gets the token. */
function nextPage(response: SmallAnswer, base: string): string | null {
  const next = /<([^>]+)>;\s*rel="next"/.exec(response.headers.get("link") ?? "")?.[1];
  return next !== undefined && next.startsWith(`${base}/`) ? next : null;
}

/** Projectors and matrices of importance are GGUF files too, and no models. */
function isModel(path: string): boolean {
  return /\.gguf$/i.test(path) && !/mmproj|imatrix/i.test(basename(path));
}

function joinParts(files: readonly { path: string; bytes: number }[]): HubModel[] {
  const models = new Map<string, HubModel & { parts: number }>();
  for (const { path, bytes } of files) {
    const split = parseSplitName(path);
    const key = split === null ? path : `${split.stem}/${split.parts}`;
    const known = models.get(key);
    models.set(key, {
      file: split === null || split.part === 1 ? path : (known?.file ?? path),
      bytes: bytes + (known?.bytes ?? 0),
      quantization: quantizationInName(basename(split?.stem ?? path)),
      parts: (known?.parts ?? 0) + 1,
    });
  }
  // A split model that lacks parts cannot be loaded.
  const isWhole = (model: HubModel & { parts: number }) =>
    model.parts === (parseSplitName(model.file)?.parts ?? 1);
  return [...models.values()]
    .filter(isWhole)
    .map(({ file, bytes, quantization }) => ({ file, bytes, quantization }));
}
