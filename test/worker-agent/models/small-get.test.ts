import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { fetchFolder } from "../../../worker-agent/models/folder-download.ts";
import { parseFolderSource } from "../../../worker-agent/models/folder-source.ts";
import { listHubModels } from "../../../worker-agent/models/hub-list.ts";
import type { HubChoiceSource } from "../../../worker-agent/models/hub-source.ts";
import { resolveHubFile } from "../../../worker-agent/models/hub.ts";
import { loadManifest } from "../../../worker-agent/models/model-manifest.ts";
import { readRemoteHeader, stallMs } from "../../../worker-agent/models/remote-header.ts";
import { smallMs } from "../../../worker-agent/models/small-get.ts";
import { startFileServer } from "./file-server.ts";
import { scratchFolder } from "./scratch-folder.ts";

const signal = new AbortController().signal;
const place = { owner: "owner", repository: "repo", revision: "main" };
const choice: HubChoiceSource = { kind: "hub-choice", ...place, quantization: null };

/** Everything that asks a hub for something small. */
const questions: readonly (readonly [string, (hub: string, folder: string) => Promise<unknown>])[] =
  [
    [
      "where a file is",
      (baseUrl) =>
        resolveHubFile({ kind: "hub", ...place, file: "m.gguf" }, { baseUrl, token: null, signal }),
    ],
    [
      "for a repository's models",
      (baseUrl) => listHubModels(choice, { baseUrl, token: null, signal }),
    ],
    [
      "for a repository's files",
      (hubUrl, folder) =>
        fetchFolder(parseFolderSource("onnx:hf:owner/repo"), {
          modelsFolder: folder,
          digestFolder: folder,
          hubUrl,
          hubToken: null,
          signal,
        }),
    ],
    ["for a manifest", (hub) => loadManifest(`${hub}/manifest.json`, signal)],
  ];

/** A server that takes a request and says nothing, and a clock that a test moves. */
async function silentServer() {
  const server = createServer(() => undefined).listen(0, "127.0.0.1");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, "listening");
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, asked: once(server, "request") };
}

test.each(questions)("a hub that is asked %s and never answers is given up", async (_what, ask) => {
  await using folder = await scratchFolder();
  const server = await silentServer();
  const failed = expect(ask(server.url, folder.path)).rejects.toMatchObject({
    code: "download_failed",
  });
  await server.asked;
  vi.advanceTimersByTime(smallMs);
  await failed;
});

test("the beginning of a file that never comes is left to the download", async () => {
  await using folder = await scratchFolder();
  const server = await silentServer();
  const remote = { token: null, folder: folder.path, modelBytes: 0, signal };
  const header = readRemoteHeader({ url: `${server.url}/m.gguf`, ...remote });
  await server.asked;
  vi.advanceTimersByTime(stallMs);
  expect(await header).toBeNull();
});

test.each(questions.slice(1))("a hub that is asked %s is not read for ever", async (_what, ask) => {
  await using folder = await scratchFolder();
  await using hub = await startFileServer(Buffer.alloc(17 * 2 ** 20, " "));
  await expect(ask(hub.url, folder.path)).rejects.toMatchObject({
    code: "download_failed",
    message: expect.stringMatching(/the answer has over 16777216 bytes$/) as string,
  });
});
