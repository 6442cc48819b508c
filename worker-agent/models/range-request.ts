import { httpGet } from "./http-get.ts";
import { ModelError } from "./model-error.ts";
import { shownUrl } from "./shown-url.ts";
import { ChangedError, retryAfterMs, TransientError } from "./transient-error.ts";

/** The file a download is of, as its server names it. */
export interface Remote {
  readonly url: string;
  readonly token: string | null;
}

/** What a server says of a file when it is asked for its first byte. */
export interface Opened {
  /** Names the version, strongly; null where the server names none. */
  readonly etag: string | null;
  readonly totalBytes: number | null;
  /** The whole file, where the server gave it at once; null where it gives parts. */
  readonly whole: Response | null;
}

/** Asks for one byte: the answer tells the size, the version, and whether parts are to be had. */
export async function openRemote(remote: Remote, signal: AbortSignal): Promise<Opened> {
  const response = await get(remote, { range: "bytes=0-0" }, signal);
  const etag = versionOf(response);
  const range = rangeOf(response);
  if (response.status === 206 && etag !== null && range !== null && range.total !== null) {
    await response.body?.cancel();
    return { etag, totalBytes: range.total, whole: null };
  }
  if (response.status === 200) return { etag, totalBytes: lengthOf(response), whole: response };
  // Parts without a version would be mixed up, and an empty file has none: all of it, then.
  await response.body?.cancel();
  const whole = await get(remote, {}, signal);
  if (whole.status === 200) return { etag: null, totalBytes: lengthOf(whole), whole };
  await whole.body?.cancel();
  throw new TransientError(`the server answered ${whole.status} to a plain request`);
}

export interface Piece {
  readonly start: number;
  readonly end: number;
  readonly etag: string;
  readonly totalBytes: number;
}

/**
 * The bytes of `piece`, or of its beginning. Throws ChangedError where the server has another
 * version now.
 */
export async function getPiece(
  remote: Remote,
  piece: Piece,
  signal: AbortSignal,
): Promise<Response> {
  const { start, end, etag, totalBytes } = piece;
  const headers = { range: `bytes=${start}-${end - 1}`, "if-range": etag };
  const response = await get(remote, headers, signal);
  const range = rangeOf(response);
  const isAsked = response.status === 206 && range?.start === start && range.end < end;
  if (isAsked && range.total === totalBytes && (versionOf(response) ?? etag) === etag) {
    return response;
  }
  await response.body?.cancel();
  // The whole file, or the same range of another one.
  if (response.status === 200 || range?.total !== totalBytes) throw new ChangedError();
  throw new TransientError("the server sent another range than was asked for");
}

async function get(
  { url, token }: Remote,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Response> {
  const response = await httpGet(url, { headers, token, signal });
  if (response.ok || response.status === 416) return response;
  await response.body?.cancel();
  const said = `the server answered ${response.status} ${response.statusText}`.trimEnd();
  if (response.status >= 500 || response.status === 429 || response.status === 408) {
    const waitMs = retryAfterMs(response.headers.get("retry-after"), Date.now());
    const asked = waitMs > 0 ? ` and asked to wait ${Math.ceil(waitMs / 1000)} seconds` : "";
    throw new TransientError(said + asked, waitMs);
  }
  throw new ModelError("download_failed", `Cannot download ${shownUrl(url)}: ${said}`);
}

/** A strong ETag is all that If-Range may carry (RFC 9110, section 13.1.5). */
function versionOf(response: Response): string | null {
  const etag = response.headers.get("etag");
  return etag === null || etag.startsWith("W/") ? null : etag;
}

function lengthOf(response: Response): number | null {
  const length = response.headers.get("content-length") ?? "";
  return /^\d{1,15}$/.test(length) ? Number(length) : null;
}

interface ContentRange {
  readonly start: number;
  /** The last byte's position. */
  readonly end: number;
  readonly total: number | null;
}

function rangeOf(response: Response): ContentRange | null {
  const header = response.headers.get("content-range") ?? "";
  const [, start, end, total] = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/.exec(header) ?? [];
  if (start === undefined || end === undefined || total === undefined) return null;
  return { start: Number(start), end: Number(end), total: total === "*" ? null : Number(total) };
}
