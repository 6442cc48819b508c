import { resolve } from "node:path";
import { isStored } from "../models/store.ts";
import { parseModelSource } from "../models/model-source.ts";
import type { SettingName } from "./settings.ts";
import { settings } from "./settings.ts";

/**
 * A setting's value as it can be written down and read elsewhere: what names a file from the
 * present folder names it from everywhere. `modelsFolder` holds the models that have names.
 */
export function absoluteValue(name: SettingName, text: string, modelsFolder: string): string {
  switch (settings[name].shape) {
    case "SOURCE":
      return isStored(modelsFolder, text) ? text : absoluteSource(text);
    case "FILE":
      return text === settings[name].fallback || text.startsWith("~") ? text : resolve(text);
    default:
      return text;
  }
}

function absoluteSource(text: string): string {
  const [, folder, rest = ""] = /^onnx:(?!hf:)([^?#]+)(.*)$/.exec(text) ?? [];
  if (folder !== undefined) return `onnx:${resolve(folder)}${rest}`;
  const isWord = text === settings.draft.fallback;
  const source = isWord ? null : parseModelSource(text);
  return source?.kind === "file" ? source.path : text;
}
