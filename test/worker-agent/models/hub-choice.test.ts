import { readFile, readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import { chooseHubModel } from "../../../worker-agent/models/choose-hub-model.ts";
import type { FetchOptions } from "../../../worker-agent/models/fetch-model.ts";
import { fetchModel, isGgufSource } from "../../../worker-agent/models/fetch-model.ts";
import { readGguf } from "../../../worker-agent/models/gguf.ts";
import { bundledModelPath, parseModelSource } from "../../../worker-agent/models/model-source.ts";
import { startFileServer } from "./file-server.ts";
import { scratchFolder } from "./scratch-folder.ts";
import { splitGguf } from "./split-gguf.ts";

const GiB = 2 ** 30;

/** A hub with one repository, whose files are all the bundled model. */
async function createHub(files: Readonly<Record<string, number>>) {
  const server = await startFileServer(await readFile(bundledModelPath()));
  const folder = await scratchFolder();
  const listed = Object.entries(files).map(([path, size]) => ({ type: "file", path, size }));
  const others = [
    { type: "directory", path: "deep" },
    { type: "file", path: "README.md", size: 10 },
    { type: "file", path: "mmproj-F16.gguf", size: 10 },
  ];
  const list = Buffer.from(JSON.stringify([...listed, ...others]));
  server.contentByPath.set("/api/models/owner/repo/tree/main", list);
  const said: unknown[] = [];
  const fetching = (text: string, own: Partial<FetchOptions> = {}) => {
    const source = parseModelSource(text);
    if (!isGgufSource(source)) throw new Error("no GGUF");
    return fetchModel(source, {
      modelsFolder: folder.path,
      slots: 1,
      contextTokensMax: null,
      freeBytes: GiB,
      hubUrl: server.url,
      hubToken: null,
      signal: new AbortController().signal,
      log: (_level, message, fields) => said.push({ message, ...fields }),
      ...own,
    });
  };
  return {
    server,
    folder: folder.path,
    said,
    fetching,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

const sizes = { "m-Q8_0.gguf": 1_898_784, "m-Q4_K_M.gguf": 1_000_000, "m-F16.gguf": 3_500_000 };

describe("a repository of the hub", () => {
  test("gives the best file that fits, and says why", async () => {
    await using hub = await createHub(sizes);
    const { path } = await hub.fetching("hf:owner/repo");
    expect(path).toBe(join(hub.folder, "owner--repo--m-Q8_0.gguf"));
    expect(hub.said).toEqual([
      {
        message: "Chose",
        of: "hf:owner/repo",
        file: "m-Q8_0.gguf",
        because: expect.stringMatching(/^the best there is/),
      },
    ]);
    expect(await readdir(hub.folder)).toEqual(["owner--repo--m-Q8_0.gguf"]);
    hub.server.asked.length = 0;
    expect((await hub.fetching("hf:owner/repo")).path).toBe(path);
    expect(hub.server.asked).toEqual([]);
  });

  test("gives the quantization that was asked for", async () => {
    await using hub = await createHub(sizes);
    const { path } = await hub.fetching("hf:owner/repo:q4_k_m");
    expect(path).toBe(join(hub.folder, "owner--repo--m-Q4_K_M.gguf"));
    await expect(hub.fetching("hf:owner/repo:Q2_K")).rejects.toMatchObject({
      code: "bad_source",
      message:
        "Cannot use hf:owner/repo: it has no Q2_K, but Q4_K_M (1 MiB), Q8_0 (2 MiB), F16 (4 MiB)",
    });
  });

  test("is refused before anything is fetched where its weights cannot fit", async () => {
    await using hub = await createHub(sizes);
    const freeBytes = 60 * 2 ** 20;
    await expect(hub.fetching("hf:owner/repo", { freeBytes })).rejects.toMatchObject({
      code: "does_not_fit",
      message: expect.stringMatching(
        /60 MiB of memory are free, \d+ MiB of which .* Q4_K_M \(1 MiB\).*:QUANTIZATION$/,
      ),
    });
    await expect(hub.fetching("hf:owner/repo/m-Q8_0.gguf", { freeBytes })).rejects.toMatchObject({
      code: "does_not_fit",
    });
    expect(await readdir(hub.folder)).toEqual([]);
  });

  test("is not mistaken for another revision of it that was fetched before", async () => {
    await using hub = await createHub(sizes);
    hub.server.contentByPath.set(
      "/api/models/owner/repo/tree/v2",
      Buffer.from(JSON.stringify([{ type: "file", path: "m-Q8_0.gguf", size: 1_898_784 }])),
    );
    const pinned = await hub.fetching("hf:owner/repo@v2");
    expect(basename(pinned.path)).toMatch(/^owner--repo--v2--m-Q8_0-[0-9a-f]{16}\.gguf$/);
    expect(await hub.fetching("hf:owner/repo:Q8_0@v2")).toEqual({ ...pinned, isNew: false });
    expect((await hub.fetching("hf:owner/repo")).path).toBe(
      join(hub.folder, "owner--repo--m-Q8_0.gguf"),
    );
  });

  test("whose header cannot be had is fetched all the same, and checked then", async () => {
    await using hub = await createHub(sizes);
    let answers = 0;
    hub.server.beforeAnswer = () => {
      answers += 1;
      // Everything but the list of files, until the download itself.
      if (answers === 2) hub.server.cuts = [0];
    };
    expect((await hub.fetching("hf:owner/repo/m-Q8_0.gguf")).isNew).toBe(true);
    expect(hub.server.cuts).toEqual([]);
  });

  test("that has no model, or is not there, is named", async () => {
    await using hub = await createHub({});
    await expect(hub.fetching("hf:owner/repo")).rejects.toThrow("it has no GGUF model");
    hub.server.failures = [404];
    await expect(hub.fetching("hf:owner/repo")).rejects.toThrow(
      "Cannot list owner/repo at main: the hub answered 404; set HF_TOKEN if it is private",
    );
    await expect(hub.fetching("hf:owner/repo", { hubUrl: "http://127.0.0.1:9" })).rejects.toThrow(
      "Cannot reach http://127.0.0.1:9 to list owner/repo at main",
    );
    hub.server.contentByPath.set("/api/models/owner/repo/tree/main", Buffer.from("<html>"));
    await expect(hub.fetching("hf:owner/repo")).rejects.toThrow("the hub's answer is no list");
  });

  test("gives all parts of a split model", async () => {
    await using parts = await scratchFolder();
    await splitGguf(bundledModelPath(), parts.path, 3);
    const names = await readdir(parts.path);
    await using hub = await createHub(Object.fromEntries(names.map((name) => [name, 700_000])));
    for (const name of names) {
      hub.server.contentByPath.set(`/${name}`, await readFile(join(parts.path, name)));
    }
    const { path } = await hub.fetching("hf:owner/repo");
    expect(path).toBe(join(hub.folder, "owner--repo--split", "split-00001-of-00003.gguf"));
    expect(readGguf(path).parameterCount).toBe(readGguf(bundledModelPath()).parameterCount);
    hub.server.asked.length = 0;
    expect((await hub.fetching("hf:owner/repo")).path).toBe(path);
    expect(hub.server.asked).toEqual([]);
  });
});

describe("choosing", () => {
  const model = (quantization: string, gibibytes: number) => ({
    file: `m-${quantization}.gguf`,
    bytes: gibibytes * GiB,
    quantization,
  });
  const models = [
    model("BF16", 16),
    model("Q2_K", 3),
    model("Q4_K_M", 5),
    model("Q4_K_XL", 5.2),
    model("Q6_K", 7),
    model("Q8_0", 8),
  ];
  const wish = { name: "hf:o/r", quantization: null };
  const chosen = (freeGiB: number, beside = 1) =>
    chooseHubModel(models, wish, { freeBytes: freeGiB * GiB, besideWeightsBytes: beside * GiB });

  test("takes what loses least of what fits, and nothing larger than Q8_0", () => {
    const names = [100, 9, 8.5, 6.5, 4].map((free) => chosen(free).model.quantization);
    expect(names).toEqual(["Q8_0", "Q8_0", "Q6_K", "Q4_K_M", "Q2_K"]);
    expect(chosen(8.5).reason).toBe("the best that fits 7680 MiB, with 7168 MiB");
  });

  test("counts what context and decoding take", () => {
    expect(chosen(9, 3).model.quantization).toBe("Q4_K_M");
    expect(() => chosen(9, 7)).toThrow(/use fewer --slots or less --context/);
  });
});
