import {
  findTransformers,
  installTransformers,
} from "../engine/transformers/transformers-package.ts";
import { readFolder } from "../models/folder-model.ts";
import type { FolderSource } from "../models/folder-source.ts";
import { ModelError } from "../models/model-error.ts";
import type { Check } from "./check.ts";

/** Whether an ONNX model's package is installed and its folder is whole. */
export async function checkFolder(name: string, source: FolderSource): Promise<Check> {
  const say = (found: string, remedy: string | null): Check => ({
    name: "Model",
    found: `${name}: ${found}`,
    remedy,
  });
  if (findTransformers() === null) {
    return say("@huggingface/transformers is not installed", installTransformers);
  }
  if (source.place.kind === "hub") return say("ONNX, fetched and checked at the start", null);
  try {
    const model = await readFolder(source.place.path, source);
    return say(`${model.architecture}, ${model.dtype}, for ${model.task}`, null);
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    return say(error.message, "name a folder with a whole model, or fetch it again");
  }
}
