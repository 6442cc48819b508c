import { truncateSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeClassifier, writeEmbedder, writeFiles } from "../../helpers/onnx-models.ts";
import { type OnnxPlace, onnxPlace } from "./onnx-engine.ts";

let here: OnnxPlace;
beforeAll(async () => {
  here = await onnxPlace();
});
afterAll(() => here[Symbol.asyncDispose]());

describe("a folder that is no whole model", () => {
  test("of no tokenizer is refused with what is missing", async () => {
    const folder = writeEmbedder(here.at("no-tokenizer"));
    unlinkSync(join(folder, "tokenizer.json"));
    await expect(here.open(folder)).rejects.toMatchObject({
      code: "bad_file",
      message: `Cannot use the model in ${folder}: it has no tokenizer.json`,
    });
  });

  test("that is not there is refused", async () => {
    const folder = here.at("nowhere");
    const message = `Cannot use the model in ${folder}: there is no such folder`;
    await expect(here.open(folder)).rejects.toMatchObject({ code: "bad_file", message });
  });

  test("with a graph that is cut off is refused with the byte", async () => {
    const folder = writeEmbedder(here.at("cut"));
    truncateSync(join(folder, "onnx/model.onnx"), 100);
    await expect(here.open(folder)).rejects.toThrow(
      /model\.onnx: it is cut off: byte \d+ is missing/,
    );
  });

  test("with a graph that is no graph is refused", async () => {
    const folder = writeEmbedder(here.at("junk"), { "onnx/model.onnx": "version https://git-lfs" });
    await expect(here.open(folder)).rejects.toThrow(
      /Cannot use the model file .*model\.onnx: it is/,
    );
  });

  test("with a graph that cannot run is refused with what the runtime says", async () => {
    const folder = writeEmbedder(here.at("other-words"), {
      "onnx/model.onnx": Buffer.from([0x08, 0x08, 0x3a, 0x00]),
    });
    await expect(here.open(folder)).rejects.toMatchObject({
      code: "bad_file",
      message: expect.stringContaining(`Cannot load the model in ${folder}: `) as string,
    });
  });

  test("without the wished form is refused", async () => {
    const folder = writeEmbedder(here.at("no-form"));
    await expect(here.open(folder, {}, "?dtype=q8")).rejects.toThrow(
      "it has no onnx/model_quantized.onnx",
    );
  });

  test("whose settings are no JSON, or of the wrong form, is refused", async () => {
    const folder = writeEmbedder(here.at("json"), { "modules.json": "{" });
    await expect(here.open(folder)).rejects.toThrow("modules.json is no JSON");
    writeFiles(folder, { "modules.json": [], "config.json": { architectures: "BertModel" } });
    await expect(here.open(folder)).rejects.toThrow("config.json is wrong at architectures");
  });

  test("that tells no task asks for one", async () => {
    const folder = writeClassifier(here.at("taskless"), ["a"], { architectures: ["BertForX"] });
    await expect(here.open(folder)).rejects.toThrow("does not tell the task; add #embeddings");
  });

  test("that does not fit the memory is refused with the arithmetic", async () => {
    const folder = writeEmbedder(here.at("large"));
    await expect(here.open(folder, { freeMemoryBytes: 0 })).rejects.toMatchObject({
      code: "does_not_fit",
      message: expect.stringContaining("its weights take 1 MiB and 0 MiB are free") as string,
    });
  });
});
