import { mkdir, rename, statfs } from "node:fs/promises";
import { join } from "node:path";
import { fileDigest } from "./digest.ts";
import { httpGet } from "./http-get.ts";
import { ModelError } from "./model-error.ts";
import type { PartFile } from "./part-file.ts";
import { claimPart, removeFreeParts } from "./part-file.ts";

export interface DownloadProgress {
  readonly receivedBytes: number;
  /** Null where the server does not say. */
  readonly totalBytes: number | null;
  readonly bytesPerSecond: number;
  readonly secondsLeft: number | null;
}

export interface Download {
  readonly url: string;
  readonly folder: string;
  readonly fileName: string;
  /** What the file must hash to; null where nobody knows. */
  readonly sha256: string | null;
  readonly token: string | null;
  /** Where the digest of the finished file is remembered, as in `fileDigest`. */
  readonly digestFolder: string | null;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: DownloadProgress) => void;
  /**
   * Attempts in a row that may bring no new byte, and the wait after the first, doubled each time.
   */
  readonly attemptsMax?: number;
  readonly firstRetryMs?: number;
}

/** Eight attempts from half a second on wait about a minute: a router's restart. */
const defaultAttemptsMax = 8;
const defaultFirstRetryMs = 500;
const retryMsMax = 30_000;
/** A connection that brings nothing for this long is dead, and a new one resumes. */
const stallMs = 60_000;
/** Often enough for a person to watch. */
const progressEveryMs = 250;

/**
 * Downloads `url` into `folder` and returns the file's path. What was received stays in a `.part`
 * file when it is aborted or fails, and the next call resumes there if the server still has the
 * same version. Throws ModelError `download_failed`, or the signal's reason.
 */
export async function downloadFile(download: Download): Promise<string> {
  await mkdir(download.folder, { recursive: true });
  const transfer = new Transfer(download);
  try {
    await transfer.receiveAll();
    return await transfer.finish();
  } catch (error) {
    await transfer.release();
    throw describeFailure(error, download, transfer.received);
  }
}

class Transfer {
  readonly #download: Download;
  #part: PartFile | null = null;
  /**
   * Names the version the part belongs to; null where the server names none, so that nothing can be
   * resumed.
   */
  #etag: string | null = null;
  #totalBytes: number | null = null;
  readonly #startedMs = performance.now();
  #resumedBytes = 0;
  #reportedMs = Number.NEGATIVE_INFINITY;

  constructor(download: Download) {
    this.#download = download;
  }

  get received(): number {
    return this.#part?.bytes ?? 0;
  }

  async receiveAll(): Promise<void> {
    const { attemptsMax = defaultAttemptsMax, firstRetryMs = defaultFirstRetryMs } = this.#download;
    for (let failures = 0; ; failures++) {
      const before = this.received;
      try {
        await this.#receive();
        return;
      } catch (error) {
        this.#download.signal.throwIfAborted();
        if (!isTransient(error)) throw error;
        if (this.received > before) failures = 0;
        if (failures + 1 >= attemptsMax) throw error;
        await wait(Math.min(firstRetryMs * 2 ** failures, retryMsMax), this.#download.signal);
      }
    }
  }

  /** Closes the part, checks what it holds and gives it its name. */
  async finish(): Promise<string> {
    const { folder, fileName, sha256, digestFolder, signal, url } = this.#download;
    const part = this.#part;
    if (part === null) throw new ModelError("download_failed", `Cannot download ${url}: no bytes`);
    await part.close();
    if (sha256 !== null) {
      const digest = await fileDigest(part.path, { cacheFolder: digestFolder, signal });
      if (digest !== sha256) {
        await part.discard();
        this.#part = null;
        throw new ModelError(
          "download_failed",
          `Cannot use the download of ${url}: its SHA-256 is ${digest} and should be ${sha256}; ` +
            `it was deleted`,
        );
      }
    }
    this.#report(true);
    const path = join(folder, fileName);
    await rename(part.path, path);
    await removeFreeParts(folder, fileName);
    return path;
  }

  async release(): Promise<void> {
    // Without a version nothing can continue it.
    if (this.#etag === null) await this.#part?.discard();
    else await this.#part?.release();
  }

  async #receive(): Promise<void> {
    const stalled = new AbortController();
    const timer = setTimeout(() => stalled.abort(new StalledError()), stallMs);
    const signal = AbortSignal.any([this.#download.signal, stalled.signal]);
    try {
      const response = await this.#open(signal);
      for await (const chunk of response.body ?? []) {
        timer.refresh();
        await this.#part?.write(chunk);
        this.#report(false);
      }
    } finally {
      clearTimeout(timer);
    }
    const received = this.received;
    if (this.#totalBytes !== null && received !== this.#totalBytes) {
      throw new TransientError(`the connection closed at byte ${received} of ${this.#totalBytes}`);
    }
  }

  /**
   * Asks for what is missing. The answer's body goes on where the part ends, whichever way the
   * server answered.
   */
  async #open(signal: AbortSignal): Promise<Response> {
    if (this.#part === null) {
      const response = await this.#get(0, signal);
      this.#totalBytes = lengthOf(response);
      this.#part = await this.#claim(versionOf(response));
      this.#resumedBytes = this.#part.bytes;
      await this.#assertRoom();
      if (this.#part.bytes === 0) return response;
      await response.body?.cancel();
    }
    return this.#resume(this.#part, signal);
  }

  async #resume(part: PartFile, signal: AbortSignal): Promise<Response> {
    if (this.#totalBytes !== null && part.bytes === this.#totalBytes) return new Response(null);
    const response = await this.#get(this.#etag === null ? 0 : part.bytes, signal);
    if (response.status === 206 && startOfRange(response) === part.bytes) return response;
    if (response.status === 206 || response.status === 416) {
      await response.body?.cancel();
      await part.empty();
      throw new TransientError("the server sent another range than was asked for");
    }
    // The whole file again: the server knows no ranges, or has a new version, whose part has
    // another name.
    const etag = versionOf(response);
    if (etag !== this.#etag) {
      await part.discard();
      this.#part = await this.#claim(etag);
    }
    await this.#part?.empty();
    this.#totalBytes = lengthOf(response);
    this.#resumedBytes = 0;
    return response;
  }

  async #claim(etag: string | null): Promise<PartFile> {
    this.#etag = etag;
    const { folder, fileName, sha256 } = this.#download;
    // A part without a version is never resumed, so its name only has to differ from all others.
    const version = etag ?? `${Date.now()} ${Math.random()}`;
    return claimPart(folder, fileName, `${version} ${sha256 ?? ""}`);
  }

  async #get(from: number, signal: AbortSignal): Promise<Response> {
    const { url, token } = this.#download;
    const headers: Record<string, string> = {};
    if (from > 0 && this.#etag !== null) {
      headers["range"] = `bytes=${from}-`;
      headers["if-range"] = this.#etag;
    }
    const response = await httpGet(url, { headers, token, signal });
    if (response.ok || response.status === 416) return response;
    await response.body?.cancel();
    const said = `the server answered ${response.status} ${response.statusText}`.trimEnd();
    if (response.status >= 500 || response.status === 429 || response.status === 408) {
      throw new TransientError(said);
    }
    throw new ModelError("download_failed", `Cannot download ${url}: ${said}`);
  }

  async #assertRoom(): Promise<void> {
    if (this.#totalBytes === null) return;
    const { bavail, bsize } = await statfs(this.#download.folder);
    const missing = this.#totalBytes - this.received;
    if (missing <= bavail * bsize) return;
    throw new ModelError(
      "download_failed",
      `Cannot download ${this.#download.url}: it needs ${missing} more bytes and the disk of ` +
        `${this.#download.folder} has ${bavail * bsize} free`,
    );
  }

  #report(isLast: boolean): void {
    const now = performance.now();
    if (!isLast && now - this.#reportedMs < progressEveryMs) return;
    this.#reportedMs = now;
    const receivedBytes = this.received;
    const seconds = Math.max(1, now - this.#startedMs) / 1000;
    const bytesPerSecond = (receivedBytes - this.#resumedBytes) / seconds;
    const totalBytes = this.#totalBytes;
    const isKnown = totalBytes !== null && bytesPerSecond > 0;
    const secondsLeft = isKnown ? (totalBytes - receivedBytes) / bytesPerSecond : null;
    this.#download.onProgress?.({ receivedBytes, totalBytes, bytesPerSecond, secondsLeft });
  }
}

/** A failure after which trying again can help. */
class TransientError extends Error {}

class StalledError extends TransientError {
  constructor() {
    super(`nothing was received for ${stallMs / 1000} seconds`);
  }
}

function isTransient(error: unknown): boolean {
  if (error instanceof TransientError) return true;
  // `fetch` reports every failure of the network as a TypeError, and a broken body as "terminated".
  return error instanceof TypeError;
}

/** A strong ETag is all that If-Range may carry (RFC 9110, section 13.1.5). */
function versionOf(response: Response): string | null {
  const etag = response.headers.get("etag");
  return etag === null || etag.startsWith("W/") ? null : etag;
}

function lengthOf(response: Response): number | null {
  const length = response.headers.get("content-length");
  return length === null ? null : Number(length);
}

function startOfRange(response: Response): number | null {
  const start = /^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "")?.[1];
  return start === undefined ? null : Number(start);
}

function describeFailure(error: unknown, download: Download, received: number): unknown {
  if (download.signal.aborted || error instanceof ModelError) return error;
  const { url, folder } = download;
  if ((error as NodeJS.ErrnoException).code === "ENOSPC") {
    const message = `Cannot download ${url}: the disk of ${folder} is full after ${received} bytes`;
    return new ModelError("download_failed", message, { cause: error });
  }
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const reason = cause instanceof Error ? cause.message : "unknown failure";
  const message = `Cannot download ${url}: ${reason}; ${received} bytes are kept to resume`;
  return new ModelError("download_failed", message, { cause: error });
}

async function wait(ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal.addEventListener("abort", onAbort, { once: true });
  });
}
