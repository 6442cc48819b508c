import { resolve } from "node:path";
import { ModelError } from "./model-error.ts";

/** What a folder's model is for. One folder serves one task. */
const folderTasks = ["embeddings", "rerank", "classification", "transcription"] as const;
export type FolderTask = (typeof folderTasks)[number];

/** The end of a graph's file name, by the form its weights are in; the most exact form first. */
export const suffixByDtype = {
  fp32: "",
  fp16: "_fp16",
  q8: "_quantized",
  int8: "_int8",
  uint8: "_uint8",
  q4: "_q4",
  q4f16: "_q4f16",
  bnb4: "_bnb4",
} as const;
export type Dtype = keyof typeof suffixByDtype;
export const dtypes = Object.keys(suffixByDtype) as readonly Dtype[];

/** How the vectors of a text's tokens become the text's. */
const poolings = ["mean", "cls", "last"] as const;
export type Pooling = (typeof poolings)[number];

/** A folder of an ONNX model with its tokenizer, on this disk or on a hub. */
export interface FolderSource {
  readonly kind: "onnx";
  readonly place:
    | { readonly kind: "folder"; readonly path: string }
    | {
        readonly kind: "hub";
        readonly owner: string;
        readonly repository: string;
        readonly revision: string;
      };
  /** Null is what its files say. */
  readonly task: FolderTask | null;
  /** Null is the most exact form that is there. */
  readonly dtype: Dtype | null;
  /** Null is what its files say. */
  readonly pooling: Pooling | null;
}

const options = `[?dtype=${dtypes.join("|")}&pooling=${poolings.join("|")}]`;
const form = `onnx:FOLDER or onnx:hf:OWNER/REPOSITORY[@REVISION], then ${options}`;

const name = "[A-Za-z0-9][A-Za-z0-9._-]*";
const hubPattern = new RegExp(`^hf:(${name})/(${name})(?:@(${name}))?$`);

/** Reads a `--model` value that begins with `onnx:`. Throws ModelError `bad_source`. */
export function parseFolderSource(text: string): FolderSource {
  const [, where = "", query = "", task] =
    /^onnx:([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/.exec(text) ?? [];
  if (where === "") return refuse(text, `the form is ${form}[#${folderTasks.join("|")}]`);
  const given = new URLSearchParams(query);
  for (const key of given.keys()) {
    if (key !== "dtype" && key !== "pooling") return refuse(text, `the options are ${options}`);
  }
  return {
    kind: "onnx",
    place: placeOf(text, where),
    task: task === undefined ? null : oneOf(text, "task", { value: task, of: folderTasks }),
    dtype: optional(text, "dtype", { value: given.get("dtype"), of: dtypes }),
    pooling: optional(text, "pooling", { value: given.get("pooling"), of: poolings }),
  };
}

/** The folder's or repository's own name. */
export function folderSourceName({ place }: FolderSource): string {
  return place.kind === "hub" ? place.repository : (place.path.split(/[/\\]/).at(-1) ?? "");
}

function placeOf(text: string, where: string): FolderSource["place"] {
  if (!where.startsWith("hf:")) return { kind: "folder", path: resolve(where) };
  const [, owner, repository, revision] = hubPattern.exec(where) ?? [];
  if (owner === undefined || repository === undefined) {
    return refuse(text, "the form is onnx:hf:OWNER/REPOSITORY[@REVISION]");
  }
  return { kind: "hub", owner, repository, revision: revision ?? "main" };
}

interface Choice<Value extends string> {
  readonly value: string;
  readonly of: readonly Value[];
}

function optional<Value extends string>(
  text: string,
  what: string,
  { value, of }: { readonly value: string | null; readonly of: readonly Value[] },
): Value | null {
  return value === null ? null : oneOf(text, what, { value, of });
}

function oneOf<Value extends string>(text: string, what: string, choice: Choice<Value>): Value {
  const found = choice.of.find((one) => one === choice.value);
  return found ?? refuse(text, `the ${what} is one of ${choice.of.join(", ")}`);
}

function refuse(text: string, reason: string): never {
  throw new ModelError("bad_source", `Cannot use --model ${JSON.stringify(text)}: ${reason}`);
}
