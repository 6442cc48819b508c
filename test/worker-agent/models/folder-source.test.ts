import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { modelName } from "../../../worker-agent/config.ts";
import type { FolderSource } from "../../../worker-agent/models/folder-source.ts";
import { parseModelSource } from "../../../worker-agent/models/model-source.ts";

const plain = { kind: "onnx", task: null, dtype: null, pooling: null } as const;
const hub = { kind: "hub", owner: "o", repository: "all-MiniLM-L6-v2", revision: "main" } as const;

const accepted: readonly (readonly [string, FolderSource, string])[] = [
  ["onnx:models/bge", { ...plain, place: { kind: "folder", path: resolve("models/bge") } }, "bge"],
  [
    "onnx:/m/bge?dtype=q8&pooling=cls#embeddings",
    {
      ...plain,
      place: { kind: "folder", path: "/m/bge" },
      task: "embeddings",
      dtype: "q8",
      pooling: "cls",
    },
    "bge",
  ],
  ["onnx:hf:o/all-MiniLM-L6-v2", { ...plain, place: hub }, "all-MiniLM-L6-v2"],
  [
    "onnx:hf:o/all-MiniLM-L6-v2@v1.0#rerank",
    { ...plain, place: { ...hub, revision: "v1.0" }, task: "rerank" },
    "all-MiniLM-L6-v2",
  ],
];

describe("an ONNX model as --model names it", () => {
  test.each(accepted)("%s is understood", (text, source, name) => {
    const parsed = parseModelSource(text);
    expect(parsed).toEqual(source);
    expect(modelName(parsed)).toBe(name);
  });

  test.each([
    ["onnx:", "the form is onnx:FOLDER or onnx:hf:OWNER/REPOSITORY[@REVISION]"],
    ["onnx:hf:only", "the form is onnx:hf:OWNER/REPOSITORY[@REVISION]"],
    ["onnx:hf:../x/y", "the form is onnx:hf:OWNER/REPOSITORY[@REVISION]"],
    ["onnx:m#speech", "the task is one of embeddings, rerank, classification, transcription"],
    ["onnx:m?dtype=int4", "the dtype is one of fp32, fp16, q8, int8, uint8, q4, q4f16, bnb4"],
    ["onnx:m?pooling=max", "the pooling is one of mean, cls, last"],
    ["onnx:m?quant=q8", "the options are [?dtype=fp32|fp16|q8"],
  ])("%s is refused with the form it should have", (text, form) => {
    const parse = (): unknown => parseModelSource(text);
    expect(parse).toThrow(expect.objectContaining({ code: "bad_source" }));
    expect(parse).toThrow(`Cannot use --model ${JSON.stringify(text)}: ${form}`);
  });
});
