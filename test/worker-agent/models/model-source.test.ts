import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import type { HubChoiceSource } from "../../../worker-agent/models/hub-source.ts";
import { hubChoiceName, quantizationInName } from "../../../worker-agent/models/hub-source.ts";
import type { ModelSource } from "../../../worker-agent/models/model-source.ts";
import {
  bundledModelPath,
  parseModelSource,
  storedFileName,
} from "../../../worker-agent/models/model-source.ts";

const hash = "ab".repeat(32);

function nameOf(text: string): string {
  const source = parseModelSource(text);
  return source.kind === "hub" || source.kind === "url" ? storedFileName(source) : "";
}

function choice(own: Partial<HubChoiceSource>): HubChoiceSource {
  const any = { owner: "owner", repository: "repo", quantization: null, revision: "main" };
  return { kind: "hub-choice", ...any, ...own };
}

const accepted: readonly (readonly [string, ModelSource])[] = [
  ["octo-tiny", { kind: "bundled", name: "octo-tiny" }],
  ["synthetic", { kind: "synthetic", name: "synthetic" }],
  ["synthetic:fast", { kind: "synthetic", name: "fast" }],
  ["models/a.gguf", { kind: "file", path: resolve("models/a.gguf") }],
  ["file:models/a.gguf", { kind: "file", path: resolve("models/a.gguf") }],
  ["file:///tmp/a%20b.gguf", { kind: "file", path: "/tmp/a b.gguf" }],
  [
    "hf:owner/repo/deep/file-Q4_K_M.gguf@v1.0",
    {
      kind: "hub",
      owner: "owner",
      repository: "repo",
      file: "deep/file-Q4_K_M.gguf",
      revision: "v1.0",
    },
  ],
  [
    "hf:owner/repo/file.gguf",
    { kind: "hub", owner: "owner", repository: "repo", file: "file.gguf", revision: "main" },
  ],
  ["hf:owner/repo-GGUF", choice({ repository: "repo-GGUF" })],
  ["hf:owner/repo:q4_k_m@v2", choice({ quantization: "Q4_K_M", revision: "v2" })],
  ["https://h.example/a.gguf", { kind: "url", url: "https://h.example/a.gguf", sha256: null }],
  [
    `https://h.example/a.gguf?x=1#sha256=${hash.toUpperCase()}`,
    { kind: "url", url: "https://h.example/a.gguf?x=1", sha256: hash },
  ],
];

describe("--model", () => {
  test.each(accepted)("%s is understood", (text, source) => {
    expect(parseModelSource(text)).toEqual(source);
  });

  test.each([
    ["", "it must be octo-tiny, a path"],
    ["ftp://h.example/a.gguf", "it must be octo-tiny, a path"],
    ["synthetic:", "it must be octo-tiny, a path"],
    ["hf:owner/file.gguf", "hf:OWNER/REPOSITORY/FILE.gguf[@REVISION]"],
    ["hf:owner/repo/../../x.gguf", "hf:OWNER/REPOSITORY/FILE.gguf[@REVISION]"],
    ["hf:owner/repo/file.bin", "hf:OWNER/REPOSITORY/FILE.gguf[@REVISION]"],
    ["http://h.example/a.gguf", "models come over https only"],
    ["https://h.example/a%zz.gguf", "its %-encoding is no UTF-8 text"],
    ["https://h.example/a%ff.gguf", "its %-encoding is no UTF-8 text"],
    ["file://remote/a.gguf", "a file URL names a file of this machine"],
    ["file:///a%2Fb.gguf", "a file URL names a file of this machine"],
    ["https://h.example/a.zip", "the path does not end in .gguf"],
    ["https://h.example/a.gguf#sha256=12", "64 hexadecimal digits"],
  ])("%j is refused with the form it should have", (text, form) => {
    const parse = (): unknown => parseModelSource(text);
    expect(parse).toThrow(expect.objectContaining({ code: "bad_source" }));
    expect(parse).toThrow(`Cannot use --model ${JSON.stringify(text)}: `);
    expect(parse).toThrow(form);
  });

  test("the bundled model is where it is looked for", () => {
    expect(existsSync(bundledModelPath())).toBe(true);
  });

  test("stored files of different sources have different names, with no path in them", () => {
    const texts = [
      "hf:o/r/f.gguf",
      "hf:o/r/a/f.gguf",
      "hf:o/r/f.gguf@a",
      "hf:o/r--a/f.gguf",
      "hf:o/r/f.gguf@v2",
      "https://h.example/o--r--f.gguf",
      "https://h.example/a/f.gguf",
      "https://h.example/b/f.gguf",
      "https://h.example/b/f.gguf?version=2",
      "https://other.example/b/f.gguf",
      "https://h.example/x/a%2F..%2Fb.gguf",
    ];
    const names = texts.map(nameOf);
    expect(new Set(names).size).toBe(texts.length);
    expect(names.filter((name) => !/^[A-Za-z0-9][A-Za-z0-9._-]*\.gguf$/.test(name))).toEqual([]);
    expect(names[0]).toBe("o--r--f.gguf");
    expect(names[1]).toMatch(/^o--r--a--f-[0-9a-f]{16}\.gguf$/);
    expect(names[5]).toMatch(/^o-r-f-[0-9a-f]{16}\.gguf$/);
  });

  test("the parts of a split model keep their names, in a folder of their own", () => {
    expect(nameOf("hf:o/r/m-00002-of-00003.gguf")).toBe("o--r--m/m-00002-of-00003.gguf");
    for (const where of ["hf:o/r/q4", "https://h.example/q4"]) {
      const names = [1, 2].map((part) => nameOf(`${where}/m-0000${part}-of-00002.gguf`));
      const [folders, files] = [0, 1].map((at) => names.map((name) => name.split("/")[at]));
      expect(files).toEqual(["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]);
      expect(new Set(folders).size).toBe(1);
      expect(folders?.[0]).toMatch(/m-[0-9a-f]{16}$/);
    }
  });
});

test.each([
  ["Qwen3-0.6B-Q8_0.gguf", "Q8_0"],
  ["deep/model.Q4_K_M.gguf", "Q4_K_M"],
  ["model-iq4_xs-00001-of-00002.gguf", "IQ4_XS"],
  ["gemma-BF16.gguf", "BF16"],
  ["model-fp16.gguf", "F16"],
  ["gpt-oss-20b-mxfp4.gguf", "MXFP4"],
  ["Q8-model.gguf", "Q8"],
  ["model.gguf", null],
])("the name %s tells %s", (file, quantization) => {
  expect(quantizationInName(file.split("/").at(-1) ?? "")).toBe(quantization);
});

test("a repository is listed without what only says that its files are GGUF", () => {
  expect(hubChoiceName(choice({ repository: "Qwen3-8B-GGUF" }))).toBe("Qwen3-8B");
  expect(hubChoiceName(choice({ quantization: "Q8_0" }))).toBe("repo-Q8_0");
});
