import { ModelError } from "./model-error.ts";
import type { ModelSource } from "./model-source.ts";
import type { SmallAnswer } from "./small-get.ts";
import { getSmall } from "./small-get.ts";

/** Hugging Face, whose `hf:` sources are. */
export const publicHubUrl = "https://huggingface.co";

export interface HubFile {
  readonly url: string;
  /** The digest the hub itself stores the file under; null for a file it does not keep as LFS. */
  readonly sha256: string | null;
}

export interface HubOptions {
  /** The hub's address, say `https://huggingface.co`. */
  readonly baseUrl: string;
  readonly token: string | null;
  readonly signal: AbortSignal;
}

/**
 * Where a hub's file is and what it must hash to. Throws ModelError `download_failed` where it is
 * not to be had.
 */
export async function resolveHubFile(
  source: Extract<ModelSource, { kind: "hub" }>,
  options: HubOptions,
): Promise<HubFile> {
  const { owner, repository, file, revision } = source;
  const base = options.baseUrl.replace(/\/+$/, "");
  const url = `${base}/${owner}/${repository}/resolve/${revision}/${file}`;
  const { token, signal } = options;
  let response: SmallAnswer;
  try {
    // The hub's own answer has the headers; the storage it redirects to does not.
    response = await getSmall(url, { method: "HEAD", token, signal, staysOnHost: true });
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof ModelError) throw cause;
    const message = `Cannot reach ${base} for ${owner}/${repository}/${file}`;
    throw new ModelError("download_failed", message, { cause });
  }
  if (response.status >= 400) throw notAvailable(source, response.status, token !== null);
  const etag = (response.headers.get("x-linked-etag") ?? "").replaceAll('"', "");
  return { url, sha256: /^[0-9a-f]{64}$/.test(etag) ? etag : null };
}

function notAvailable(
  source: Extract<ModelSource, { kind: "hub" }>,
  status: number,
  hasToken: boolean,
): ModelError {
  const what = `${source.owner}/${source.repository}/${source.file} at ${source.revision}`;
  const isLocked = status === 401 || status === 403;
  const advice = hasToken ? "HF_TOKEN may not read it" : "set HF_TOKEN if it is private or gated";
  const reason = isLocked
    ? `the hub answered ${status}; ${advice}`
    : `the hub answered ${status}${status === 404 ? ", so there is no such file" : ""}`;
  return new ModelError("download_failed", `Cannot download ${what}: ${reason}`);
}
