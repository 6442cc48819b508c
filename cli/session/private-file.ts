import { randomUUID } from "node:crypto";
import { mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { CommandError } from "../failures.ts";

export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

/** The reason of the file system in a sentence of ours. */
export function fileError(action: string, path: string, error: unknown): CommandError {
  const reason = error instanceof Error ? error.message.split("\n")[0] : String(error);
  return new CommandError(`Cannot ${action} ${path}: ${reason}`, { cause: error });
}

/**
 * The text of a file that holds a secret, or null where there is none. Throws CommandError where
 * others may read it, or have made it.
 */
export async function readPrivateFile(path: string): Promise<string | null> {
  const found = await stat(path).catch((error: unknown) => {
    if (hasCode(error, "ENOENT") || hasCode(error, "ENOTDIR")) return null;
    throw fileError("read", path, error);
  });
  if (found === null) return null;
  // Windows has no such bits and owners: there a profile's folder is its owner's.
  if (process.platform !== "win32") {
    if ((found.mode & 0o077) !== 0) {
      const mode = (found.mode & 0o777).toString(8);
      throw new CommandError(
        `Cannot use ${path}: others may read it (mode ${mode}); run chmod 600 ${path}`,
      );
    }
    if (found.uid !== process.getuid?.()) {
      throw new CommandError(`Cannot use ${path}: it belongs to another user of this machine`);
    }
  }
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw fileError("read", path, error);
  }
}

/** Writes a file that only its owner may read, whole or not at all. Throws CommandError. */
export async function writePrivateFile(path: string, text: string): Promise<void> {
  const draft = `${path}.${randomUUID()}`;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeNewFile(draft, text);
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw fileError("write", path, error);
  }
}

/** Writes a file for its owner alone where there is none yet; fails with EEXIST where there is. */
export async function writeNewFile(path: string, text: string): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(text);
    await file.datasync();
  } finally {
    await file.close();
  }
}
