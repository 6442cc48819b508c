import { createHash, randomBytes } from "node:crypto";
import { readdir } from "node:fs/promises";
import type { Download } from "../../../worker-agent/models/download.ts";
import { downloadFile } from "../../../worker-agent/models/download.ts";
import type { TransferOptions } from "../../../worker-agent/models/transfer.ts";
import type { FileServer } from "./file-server.ts";
import { startFileServer } from "./file-server.ts";
import { scratchFolder } from "./scratch-folder.ts";

export const content = randomBytes(1 << 20);
export const half = content.length / 2;

export function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

export async function createWorld() {
  const folder = await scratchFolder();
  const server = await startFileServer(content);
  const quick = { firstRetryMs: 1, pieceBytesLeast: 64 << 10 };
  const download = (
    own: Partial<Download> = {},
    transfer: Partial<TransferOptions> = {},
  ): Promise<string> =>
    downloadFile({
      url: `${server.url}/model.gguf`,
      folder: folder.path,
      fileName: "model.gguf",
      sha256: sha256(server.content),
      token: null,
      digestFolder: null,
      signal: new AbortController().signal,
      transfer: { ...quick, ...transfer },
      ...own,
    });
  return {
    server,
    folder: folder.path,
    download,
    /** What the process of `download-child.ts` is told. */
    child: [`${server.url}/model.gguf`, folder.path, sha256(content)],
    files: () => readdir(folder.path),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** What was asked for beside the first byte, which tells what there is. */
export function ranges(server: FileServer): (string | undefined)[] {
  return server.asked.map(({ range }) => range).filter((range) => range !== "bytes=0-0");
}

/** How many bytes were asked for. */
export function askedBytes(server: FileServer): number {
  return ranges(server).reduce((sum, range) => {
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range ?? "") ?? [];
    return sum + (last === undefined ? server.content.length : Number(last) - Number(first) + 1);
  }, 0);
}

/** From the answer of this number on, the server is busy. */
export function breakAt(server: FileServer, answer: number): void {
  let answers = 0;
  server.beforeAnswer = () => {
    answers += 1;
    if (answers === answer) server.failures = Array.from({ length: 200 }, () => 503);
  };
}

export function mend(server: FileServer): void {
  server.beforeAnswer = () => undefined;
  server.failures = [];
}
