import { existsSync } from "node:fs";
import { mkdir, readFile, readdir, rm, rmdir } from "node:fs/promises";
import { dirname, isAbsolute, join, relative, sep } from "node:path";
import { z } from "zod";
import { replaceFile } from "../state/replace-file.ts";

/*
 * The models kept under names on this machine.
 *
 * S1. Each name has a file of its own, written whole under another name and renamed: no reader sees
 *     half of it, and two processes that add different names never meet.
 * S2. Names are aliases: several may have the same files, which are deleted with the last of them.
 * S3. Only files in the store's own folder are ever deleted; a file that was added where it lay
 *     stays there.
 * S4. What cannot be read as an entry is no entry, and is left alone.
 */

const fileSchema = z.object({
  name: z.string().min(1),
  /** Absolute, or from the store's folder. */
  path: z.string().min(1),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  bytes: z.int().min(0),
});

const entrySchema = z.object({
  v: z.literal(1),
  name: z.string().min(1),
  source: z.string(),
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  files: z.array(fileSchema).min(1),
  format: z.literal("gguf"),
  architecture: z.string(),
  quantization: z.string(),
  parameters: z.number().min(0),
  context_tokens: z.number().min(1),
  added_ms: z.number().min(0),
  last_used_ms: z.number().min(0).nullable(),
  /** Who signed the manifest it came with (Ed25519, base64url); null without one. */
  creator: z.string().nullable(),
});
export type StoredModel = z.infer<typeof entrySchema>;
export type StoredFile = z.infer<typeof fileSchema>;

export class ModelStore {
  readonly #folder: string;

  /** `folder` is where downloads are kept. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** All models, by name. */
  async list(): Promise<StoredModel[]> {
    const names = await readdir(indexFolder(this.#folder)).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    });
    const found: StoredModel[] = [];
    for (const file of names.filter((name) => name.endsWith(entryEnding))) {
      const entry = await readEntry(join(indexFolder(this.#folder), file));
      if (entry !== null) found.push(entry);
    }
    return found.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  async get(name: string): Promise<StoredModel | null> {
    const entry = await readEntry(entryPath(this.#folder, name));
    return entry?.name === name ? entry : null;
  }

  /** Keeps a model under its name, in place of what had that name. */
  async put(entry: StoredModel, manifest: string | null): Promise<void> {
    await mkdir(indexFolder(this.#folder), { recursive: true });
    const beside = manifestPath(this.#folder, entry.name);
    if (manifest === null) await rm(beside, { force: true });
    else await replaceFile(beside, manifest);
    const before = await this.get(entry.name);
    await replaceFile(entryPath(this.#folder, entry.name), `${JSON.stringify(entry, null, 2)}\n`);
    if (before !== null) await this.#deleteUnused(before.files);
  }

  /** Notes that a model is used now; one that is gone meanwhile stays gone. */
  async touch(name: string, nowMs: number): Promise<void> {
    const entry = await this.get(name);
    if (entry === null) return;
    const text = `${JSON.stringify({ ...entry, last_used_ms: nowMs }, null, 2)}\n`;
    await replaceFile(entryPath(this.#folder, name), text);
  }

  /** Forgets a name and deletes what no other name has; null where there is no such name. */
  async remove(name: string): Promise<{ readonly deletedBytes: number } | null> {
    const entry = await this.get(name);
    if (entry === null) return null;
    await rm(manifestPath(this.#folder, name), { force: true });
    await rm(entryPath(this.#folder, name));
    return { deletedBytes: await this.#deleteUnused(entry.files) };
  }

  /** Where a model's file is. */
  pathOf(file: StoredFile): string {
    return isAbsolute(file.path) ? file.path : join(this.#folder, file.path);
  }

  /** How an entry writes down where a file is. */
  placeOf(path: string): string {
    const inside = relative(this.#folder, path);
    return inside.startsWith("..") || isAbsolute(inside) ? path : inside.split(sep).join("/");
  }

  /** The manifest a model came with, as it was signed. */
  async manifestOf(name: string): Promise<string | null> {
    return readFile(manifestPath(this.#folder, name), "utf8").catch(() => null);
  }

  /** Deletes files in the store that no name has any more (S2, S3); gives how many bytes. */
  async #deleteUnused(files: readonly StoredFile[]): Promise<number> {
    const used = new Set(
      (await this.list()).flatMap((entry) => entry.files.map(({ path }) => path)),
    );
    let bytes = 0;
    for (const file of files) {
      if (used.has(file.path) || isAbsolute(file.path) || file.path.startsWith("..")) continue;
      const path = this.pathOf(file);
      if (existsSync(path)) bytes += file.bytes;
      await rm(path, { force: true });
      // A split model has a folder of its own, which goes with its last part.
      if (dirname(file.path) !== ".") await rmdir(dirname(path)).catch(() => undefined);
    }
    return bytes;
  }
}

const entryEnding = ".model.json";

function indexFolder(folder: string): string {
  return join(folder, "index");
}

/** Names have slashes and colons, which not every file system takes. */
function entryPath(folder: string, name: string): string {
  return join(indexFolder(folder), `${encodeURIComponent(name)}${entryEnding}`);
}

function manifestPath(folder: string, name: string): string {
  return join(indexFolder(folder), `${encodeURIComponent(name)}.manifest.json`);
}

/** Whether a model is kept under `name`: asked while the settings are read. */
export function isStored(folder: string, name: string): boolean {
  return !isReservedName(name) && existsSync(entryPath(folder, name));
}

/** Whether a name is that of a source or a file, so that no model can be kept under it. */
export function isReservedName(name: string): boolean {
  return (
    name === "octo-tiny" ||
    /\.gguf$/i.test(name) ||
    /^(synthetic|hf|file|https?|onnx|upstream)(:|$)/.test(name)
  );
}

async function readEntry(path: string): Promise<StoredModel | null> {
  try {
    return entrySchema.parse(JSON.parse(await readFile(path, "utf8")));
  } catch {
    // Gone meanwhile, or not ours (S4).
    return null;
  }
}
