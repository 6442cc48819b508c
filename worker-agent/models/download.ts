import { mkdir, rename, statfs } from "node:fs/promises";
import { join } from "node:path";
import { fileDigest } from "./digest.ts";
import { ModelError } from "./model-error.ts";
import { removeFreeParts } from "./part-file.ts";
import { shownUrl } from "./shown-url.ts";
import { ChangedError } from "./transient-error.ts";
import type { TransferOptions, TransferTarget } from "./transfer.ts";
import { Transfer } from "./transfer.ts";

export type { DownloadProgress } from "./download-progress.ts";

export interface Download extends TransferTarget {
  /** Where the digest of the finished file is remembered, as in `fileDigest`. */
  readonly digestFolder: string | null;
  readonly transfer?: Partial<TransferOptions>;
}

const transferDefaults: TransferOptions = {
  // What one connection loses on a long way, four make up for; more are taken for an attack.
  connections: 4,
  // Small enough that the last piece is not waited for, large enough that asking costs nothing.
  pieceBytesLeast: 16 * 2 ** 20,
  // Eight attempts from half a second on wait about a minute: a router's restart.
  attemptsMax: 8,
  firstRetryMs: 500,
  // A connection that brings nothing for this long is dead, and a new one resumes.
  stallMs: 60_000,
};

/** The rest of the disk is for the journal, the log and other programs. */
const marginBytes = 256 * 2 ** 20;
/** A file that changes more often while it is fetched is never had whole. */
const changesMax = 3;

/**
 * Downloads `url` into `folder` and returns the file's path. What was received stays in a `.part`
 * file when it is aborted or fails, and the next call resumes there if the server still has the
 * same version. Throws ModelError `download_failed`, or the signal's reason.
 */
export async function downloadFile(download: Download): Promise<string> {
  await mkdir(download.folder, { recursive: true });
  const options = { ...transferDefaults, ...download.transfer };
  for (let changes = 0; ; changes++) {
    const transfer = new Transfer(download, options, (needed) => assertRoom(download, needed));
    try {
      await transfer.receiveAll();
      await verify(download, transfer);
      const path = join(download.folder, download.fileName);
      await rename(transfer.path, path);
      await removeFreeParts(download.folder, download.fileName);
      return path;
    } catch (error) {
      const isChanged = error instanceof ChangedError;
      await transfer.release(isChanged);
      if (isChanged && changes < changesMax) continue;
      throw describeFailure(error, download, transfer.receivedBytes);
    }
  }
}

async function verify(download: Download, transfer: Transfer): Promise<void> {
  const { sha256, digestFolder: cacheFolder, signal } = download;
  const url = shownUrl(download.url);
  if (sha256 === null) return;
  const digest = await fileDigest(transfer.path, { cacheFolder, signal });
  if (digest === sha256) return;
  await transfer.discard();
  throw new ModelError(
    "download_failed",
    `Cannot use the download of ${url}: its SHA-256 is ${digest} and should be ${sha256}; ` +
      `it was deleted`,
  );
}

async function assertRoom({ url, folder }: Download, neededBytes: number): Promise<void> {
  const shown = shownUrl(url);
  const { bavail, bsize } = await statfs(folder);
  const freeBytes = bavail * bsize;
  if (neededBytes + marginBytes <= freeBytes) return;
  throw new ModelError(
    "download_failed",
    `Cannot download ${shown}: it needs ${neededBytes} more bytes beside ${marginBytes} to ` +
      `spare, and the disk of ${folder} has ${freeBytes} free`,
  );
}

/** The disk, a quota and a limit on the size of a file say it in ways of their own. */
const fullCodes: readonly (string | undefined)[] = ["ENOSPC", "EDQUOT", "EFBIG"];

function describeFailure(error: unknown, download: Download, received: number): unknown {
  if (download.signal.aborted || error instanceof ModelError) return error;
  const { folder } = download;
  const url = shownUrl(download.url);
  const kept = `${received} bytes are kept to resume`;
  if (fullCodes.includes((error as NodeJS.ErrnoException).code)) {
    const message = `Cannot download ${url}: the disk of ${folder} is full; ${kept}`;
    return new ModelError("download_failed", message, { cause: error });
  }
  if (error instanceof ChangedError) {
    const message = `Cannot download ${url}: it changes while it is fetched`;
    return new ModelError("download_failed", message, { cause: error });
  }
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const reason = cause instanceof Error ? cause.message : "unknown failure";
  const message = `Cannot download ${url}: ${reason}; ${kept}`;
  return new ModelError("download_failed", message, { cause: error });
}
