import { createHash } from "node:crypto";
import { posix, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { FolderSource } from "./folder-source.ts";
import { parseFolderSource } from "./folder-source.ts";
import type { HubChoiceSource, StoredSource } from "./hub-source.ts";
import { parseHubChoice } from "./hub-source.ts";
import { parseSplitName, partNames } from "./split-names.ts";
import type { UpstreamSource } from "../upstream/upstream-source.ts";
import { ModelError } from "./model-error.ts";
import { shownUrl } from "./shown-url.ts";

/** Where a model comes from, as `--model` names it. */
export type ModelSource =
  | { readonly kind: "bundled"; readonly name: "octo-tiny" }
  | { readonly kind: "file"; readonly path: string }
  | {
      readonly kind: "hub";
      readonly owner: string;
      readonly repository: string;
      readonly file: string;
      readonly revision: string;
    }
  | HubChoiceSource
  | StoredSource
  | { readonly kind: "url"; readonly url: string; readonly sha256: string | null }
  | FolderSource
  | UpstreamSource
  | {
      readonly kind: "synthetic";
      readonly name: string;
      /** Answers documents (vectors, scores, transcripts, images) instead of text. */
      readonly documents?: true;
    };

const forms =
  "octo-tiny, a path to a .gguf file, file:PATH, hf:OWNER/REPOSITORY/FILE.gguf[@REVISION], " +
  "hf:OWNER/REPOSITORY[:QUANTIZATION], https://HOST/FILE.gguf[#sha256=HEX], onnx:FOLDER[#TASK], " +
  "onnx:hf:OWNER/REPOSITORY[@REVISION][#TASK] or synthetic[:NAME[+documents]]";

const hubForms =
  "the form is hf:OWNER/REPOSITORY/FILE.gguf[@REVISION] or " +
  "hf:OWNER/REPOSITORY[:QUANTIZATION][@REVISION]";

const name = "[A-Za-z0-9][A-Za-z0-9._-]*";
const hubPattern = new RegExp(`^(${name})/(${name})/((?:${name}/)*${name}\\.gguf)(?:@(${name}))?$`);

/**
 * Reads a `--model` value. Throws ModelError `bad_source` with the accepted forms where it is none
 * of them.
 */
export function parseModelSource(text: string): ModelSource {
  if (text === "octo-tiny") return { kind: "bundled", name: "octo-tiny" };
  if (text === "synthetic") return { kind: "synthetic", name: "synthetic" };
  if (text.startsWith("synthetic:")) {
    const own = text.slice("synthetic:".length);
    if (own === "") return refuse(text, forms);
    const bare = own.replace(/\+documents$/, "");
    return bare === own
      ? { kind: "synthetic", name: own }
      : { kind: "synthetic", name: bare, documents: true };
  }
  if (text.startsWith("onnx:")) return parseFolderSource(text);
  if (text.startsWith("hf:")) {
    const choice = parseHubChoice(text.slice(3));
    if (choice !== null) return choice;
    const [, owner, repository, file, revision] = hubPattern.exec(text.slice(3)) ?? [];
    if (owner === undefined || repository === undefined || file === undefined) {
      return refuse(text, hubForms);
    }
    return { kind: "hub", owner, repository, file, revision: revision ?? "main" };
  }
  if (/^https?:/i.test(text)) return parseUrl(text);
  if (text.startsWith("file://")) return parseFileUrl(text);
  if (text.startsWith("file:")) return { kind: "file", path: resolve(text.slice(5)) };
  if (/^[a-z][a-z0-9+.-]+:/i.test(text) || text.trim() === "") return refuse(text, forms);
  return { kind: "file", path: resolve(text) };
}

/**
 * The bundled model: the package's assets lie beside both the folder of this file and that of the
 * bundle.
 */
export function bundledModelPath(): string {
  return fileURLToPath(new URL("../assets/octo-tiny/octo-tiny.gguf", import.meta.url));
}

/**
 * What the file of a hub or URL source is called on this disk: no two sources share a name, since
 * what is there is used without asking again. The parts of a split model keep their names, which
 * are in its identity, in a folder of their own.
 */
export function storedFileName(source: Extract<ModelSource, { kind: "hub" | "url" }>): string {
  return source.kind === "url" ? storedUrlName(source.url) : storedHubName(source);
}

/** Digits of a SHA-256 behind a name: nobody finds another source with the same 64 bits. */
const markDigits = 16;

/** Tells a source from others whose names would be the same. */
export function sourceMark(source: string): string {
  return createHash("sha256").update(source).digest("hex").slice(0, markDigits);
}

function storedUrlName(text: string): string {
  const url = new URL(text);
  const { dir, base } = posix.parse(url.pathname);
  // All parts of a split model have one folder, which the first one's address names.
  url.pathname = posix.join(dir, partNames(base)[0] ?? base);
  const mark = sourceMark(url.href);
  const bare = decodeURIComponent(base).replaceAll(/[^A-Za-z0-9._-]/g, "_");
  const split = parseSplitName(bare);
  const stem = split?.stem ?? bare.replace(/\.gguf$/, "");
  // Two dashes are what a hub's names have.
  const place = `${stem.replaceAll(/-{2,}/g, "-").slice(0, stemCharsMax)}-${mark}`;
  return split === null ? `${place}.gguf` : `${place}/${bare}`;
}

/** File systems take 255; a download's unfinished file says more behind the name. */
const stemCharsMax = 100;

function storedHubName(source: Extract<ModelSource, { kind: "hub" }>): string {
  const { owner, repository, file, revision } = source;
  const folders = file.split("/");
  const base = folders.pop() ?? "";
  const split = parseSplitName(base);
  const pinned = revision === "main" ? [] : [revision];
  const stem = split?.stem ?? base.replace(/\.gguf$/, "");
  const parts = [owner, repository, ...pinned, ...folders, stem];
  const first = [...folders, partNames(base)[0] ?? base].join("/");
  // Only these three are told apart by the dashes alone.
  const isPlain = parts.length === 3 && parts.every((part) => !part.includes("--"));
  const mark = isPlain ? "" : `-${sourceMark(`hf:${owner}/${repository}/${first}@${revision}`)}`;
  const place = parts.join("--") + mark;
  return split === null ? `${place}.gguf` : `${place}/${base}`;
}

function parseFileUrl(text: string): ModelSource {
  try {
    return { kind: "file", path: fileURLToPath(text) };
  } catch {
    // Another machine's, no URL at all, or an encoded slash.
    return refuse(text, "a file URL names a file of this machine, as file:///PATH");
  }
}

function parseUrl(text: string): ModelSource {
  if (!URL.canParse(text)) return refuse(text, "it is not a URL");
  const url = new URL(text);
  if (url.username !== "" || url.password !== "") {
    return refuse(text, "it holds a password; what needs one is fetched by other means");
  }
  const isLocal = url.hostname === "localhost" || url.hostname === "127.0.0.1";
  if (url.protocol !== "https:" && !isLocal) return refuse(text, "models come over https only");
  if (!isDecodable(url.pathname)) return refuse(text, "its %-encoding is no UTF-8 text");
  if (!url.pathname.endsWith(".gguf")) return refuse(text, "the path does not end in .gguf");
  const sha256 = /^#sha256=([0-9a-fA-F]{64})$/.exec(url.hash)?.[1]?.toLowerCase() ?? null;
  if (url.hash !== "" && sha256 === null) {
    return refuse(text, "after # comes sha256= and 64 hexadecimal digits");
  }
  url.hash = "";
  return { kind: "url", url: url.href, sha256 };
}

/** Whether what is encoded in it is text. */
function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

function refuse(text: string, reason: string): never {
  const accepted = reason === forms ? `it must be ${forms}` : reason;
  throw new ModelError(
    "bad_source",
    `Cannot use --model ${JSON.stringify(shownUrl(text))}: ${accepted}`,
  );
}
