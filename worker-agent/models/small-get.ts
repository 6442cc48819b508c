import { httpGet, type GetOptions } from "./http-get.ts";
import { ModelError } from "./model-error.ts";
import { shownUrl } from "./shown-url.ts";

/** A list or a header comes at once; a hub that thinks for longer is not going to answer. */
export const smallMs = 30_000;
/** The list of a repository of a hundred thousand files. */
const bytesMax = 16 * 2 ** 20;

/** An answer that is read whole. */
export interface SmallAnswer {
  readonly status: number;
  readonly ok: boolean;
  readonly headers: Headers;
  /** Empty where the server refuses. */
  readonly text: string;
}

/**
 * A document that is small and comes soon. Throws ModelError `download_failed` where it is not
 * small, the reason where it does not come, and the signal's reason.
 */
export async function getSmall(url: string, options: GetOptions): Promise<SmallAnswer> {
  const late = new AbortController();
  const timer = setTimeout(() => {
    late.abort(new Error(`nothing came within ${smallMs / 1000} seconds`));
  }, smallMs);
  try {
    const signal = AbortSignal.any([options.signal, late.signal]);
    const response = await httpGet(url, { ...options, signal });
    const { status, ok, headers } = response;
    if (ok) return { status, ok, headers, text: await readText(response, url) };
    await response.body?.cancel();
    return { status, ok, headers, text: "" };
  } finally {
    clearTimeout(timer);
  }
}

async function readText(response: Response, url: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > bytesMax) {
      const rule = `the answer has over ${bytesMax} bytes`;
      throw new ModelError("download_failed", `Cannot download ${shownUrl(url)}: ${rule}`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** What a text is as JSON; null where it is none. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // A page of a proxy, or an answer that was cut.
    return null;
  }
}
