import { rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { checkFolder } from "../../../worker-agent/cli/check-folder.ts";
import { parseFolderSource } from "../../../worker-agent/models/folder-source.ts";
import { writeEmbedder } from "../../helpers/onnx-models.ts";
import { scratchFolder } from "../models/scratch-folder.ts";

test("an ONNX model's folder is read, and what is missing in it is said with what to do", async () => {
  await using scratch = await scratchFolder();
  const folder = writeEmbedder(join(scratch.path, "model"));
  const check = () => checkFolder("colours", parseFolderSource(`onnx:${folder}`));
  expect(await check()).toEqual({
    name: "Model",
    found: "colours: bert, fp32, for embeddings",
    remedy: null,
  });
  rmSync(join(folder, "tokenizer.json"));
  expect(await check()).toEqual({
    name: "Model",
    found: `colours: Cannot use the model in ${folder}: it has no tokenizer.json`,
    remedy: "name a folder with a whole model, or fetch it again",
  });
});

test("an ONNX model of a hub is told to come at the start", async () => {
  const check = await checkFolder("far", parseFolderSource("onnx:hf:owner/model"));
  expect(check).toMatchObject({ found: "far: ONNX, fetched and checked at the start" });
});
