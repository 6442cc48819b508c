import { resolve } from "node:path";
import { expect, test } from "vitest";
import { absoluteValue } from "../../../worker-agent/cli/absolute-paths.ts";
import { isNodeNewEnough, nodeLeast } from "../../../worker-agent/cli/runtime-version.ts";
import manifest from "../../../worker-agent/package.json" with { type: "json" };

test.for([
  ["model", "./llama.gguf", resolve("llama.gguf")],
  ["model", "file:llama.gguf", resolve("llama.gguf")],
  ["model", "onnx:minilm?dtype=q8#rerank", `onnx:${resolve("minilm")}?dtype=q8#rerank`],
  ["model", "onnx:hf:owner/repository", "onnx:hf:owner/repository"],
  ["model", "hf:owner/repository/a.gguf", "hf:owner/repository/a.gguf"],
  ["model", "octo-tiny", "octo-tiny"],
  ["draft", "none", "none"],
  ["draft", "d.gguf", resolve("d.gguf")],
  ["logFile", "w.log", resolve("w.log")],
  ["logFile", "none", "none"],
  ["logFile", "~/w.log", "~/w.log"],
  ["edge", "https://edge.example", "https://edge.example"],
] as const)("%s %s is written down as %s", ([name, text, written]) => {
  expect(absoluteValue(name, text, "/no/models")).toBe(written);
});

test("the Node that package.json asks for is the oldest that starts", () => {
  const [major = 0, minor = 0] = nodeLeast.split(".").map(Number);
  expect(manifest.engines.node).toBe(`>=${major}.${minor}`);
  const versions = [`${major}.${minor - 1}.9`, nodeLeast, `${major}.${minor + 1}.0`, "18.99.0"];
  expect(versions.map(isNodeNewEnough)).toEqual([false, true, true, false]);
  expect(isNodeNewEnough(`${major + 4}.0.0`)).toBe(true);
});
