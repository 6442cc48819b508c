import { randomUUID } from "node:crypto";
import { mkdir, open, rm } from "node:fs/promises";
import { join } from "node:path";
import type { GgufFile } from "./gguf.ts";
import { describeHeader } from "./gguf.ts";
import { readGgufHeader } from "./gguf-header.ts";
import { httpGet } from "./http-get.ts";
import { ModelError } from "./model-error.ts";
import { shownUrl } from "./shown-url.ts";
import { isTransient, TransientError } from "./transient-error.ts";

/** Headers with their vocabularies take some megabytes; each step costs one more request. */
const prefixSteps: readonly number[] = [8 * 2 ** 20, 32 * 2 ** 20, 128 * 2 ** 20];

/** As for a download: a connection that brings nothing for this long is dead. */
export const stallMs = 60_000;

export interface RemoteHeader {
  readonly url: string;
  readonly token: string | null;
  /** Where the beginning of the file may lie for a moment. */
  readonly folder: string;
  /** Of all files of the model. */
  readonly modelBytes: number;
  readonly signal: AbortSignal;
}

/**
 * What a GGUF file says of its model, read from its first megabytes: whether it fits is known
 * before anything else is fetched. Null where the server gives no parts of files.
 */
export async function readRemoteHeader(remote: RemoteHeader): Promise<GgufFile | null> {
  await mkdir(remote.folder, { recursive: true });
  const path = join(remote.folder, `.header-${randomUUID()}`);
  try {
    for (const bytes of prefixSteps) {
      const end = await fetchPrefix(remote, path, bytes).catch((error: unknown) => {
        remote.signal.throwIfAborted();
        // The network fails: the download tries again, and says what is wrong.
        if (isTransient(error)) return null;
        throw error;
      });
      if (end === null) return null;
      const header = readPrefix(path, end);
      if (header !== null) return describeHeader(shownUrl(remote.url), header, remote.modelBytes);
    }
    return null;
  } finally {
    await rm(path, { force: true });
  }
}

/** Null where the header goes on beyond what was fetched. */
function readPrefix(path: string, end: number): ReturnType<typeof readGgufHeader> | null {
  try {
    const header = readGgufHeader(path);
    return header.headerBytes <= end ? header : null;
  } catch (error) {
    // Behind what was fetched the file is nothing but zeros, which make no sense; the file itself
    // is read once it is here, and what is wrong with it is said then.
    if (error instanceof ModelError) return null;
    throw error;
  }
}

/**
 * Lays the first bytes into a file as large as the whole one, with nothing behind them. Gives how
 * many they are, or null where there are none.
 */
async function fetchPrefix(
  { url, token, signal }: RemoteHeader,
  path: string,
  bytes: number,
): Promise<number | null> {
  const stalled = new AbortController();
  const timer = setTimeout(() => stalled.abort(new TransientError("it fell silent")), stallMs);
  try {
    const either = AbortSignal.any([signal, stalled.signal]);
    const headers = { range: `bytes=0-${bytes - 1}` };
    const response = await httpGet(url, { headers, token, signal: either });
    return await layOut(response, path, bytes, () => void timer.refresh());
  } finally {
    clearTimeout(timer);
  }
}

async function layOut(
  response: Response,
  path: string,
  bytes: number,
  alive: () => void,
): Promise<number | null> {
  const total = /\/(\d{1,15})$/.exec(response.headers.get("content-range") ?? "")?.[1];
  if (response.status !== 206 || total === undefined) {
    await response.body?.cancel();
    return null;
  }
  const file = await open(path, "w");
  let end = 0;
  try {
    for await (const chunk of response.body ?? []) {
      alive();
      await file.write(chunk, 0, chunk.length, end);
      end += chunk.length;
      // A server may send more than it was asked for.
      if (end >= bytes) break;
    }
    await file.truncate(Number(total));
  } finally {
    await file.close();
  }
  return Math.min(end, Number(total));
}
