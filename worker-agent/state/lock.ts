import { createHash } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { open, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { jsonOrNull } from "../../shared/json-or-null.ts";

/**
 * Another worker runs from the same folder: two of one identity would throw each other off the
 * network.
 */
export class LockError extends Error {
  override readonly name = "LockError";
}

const ownerSchema = z.object({
  pid: z.int().min(1),
  /** When the process started, in the system's own count; null where the system does not tell. */
  started: z.string().nullable(),
});
export type LockOwner = z.infer<typeof ownerSchema>;

/** The lock file in a state folder. */
export const lockName = "worker.lock";

export interface Lock {
  /** This process, as others see it. */
  readonly owner: LockOwner;
  release(): void;
}

/**
 * Takes the lock of a state folder. A lock whose process is gone is taken over. Throws LockError
 * where one runs.
 */
export async function takeLock(stateDir: string): Promise<Lock> {
  const path = lockPath(stateDir);
  const owner: LockOwner = { pid: process.pid, started: startOf(process.pid) };
  const text = JSON.stringify(owner);
  const found = await takeFile(path, text);
  if (found === "taken") return { owner, release: () => removeOwn(path, text) };
  if (found === "unclear") {
    throw new LockError(`Cannot start: another octo-worker is just starting from ${stateDir}`);
  }
  throw new LockError(
    `Cannot start: octo-worker runs already from ${stateDir} (process ${found.pid}); ` +
      "stop it, or give this one another folder with --state-dir",
  );
}

/** Two to remove what dead processes left, and one for a lock that was given back meanwhile. */
const attemptsMax = 3;

/**
 * Whoever creates the file has it. A stale one is removed only by the process that holds the claim
 * to exactly that one: a slower process, which read it too, would remove the lock of the faster.
 */
async function takeFile(path: string, own: string): Promise<"taken" | "unclear" | LockOwner> {
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    if (await createFile(path, own)) return "taken";
    const stale = await readText(path);
    // Given back in this moment.
    if (stale === null) continue;
    const owner = liveOwner(stale);
    if (owner !== null) return owner;
    if (await isFresh(path)) return "unclear";
    // A claim is a lock like any other: that of a process which died over it is stale as well.
    const claim = claimPath(path, stale);
    if ((await takeFile(claim, own)) !== "taken") return "unclear";
    try {
      const isSame = (await readText(path)) === stale && liveOwner(stale) === null;
      if (isSame && !(await isFresh(path))) await rm(path, { force: true });
    } finally {
      await rm(claim, { force: true });
    }
  }
  return "unclear";
}

/** The file by which one process claims the stale lock that holds `text`. */
export function claimPath(path: string, text: string): string {
  return `${path}.${createHash("sha256").update(text).digest("hex").slice(0, 8)}`;
}

async function createFile(path: string, text: string): Promise<boolean> {
  const file = await open(path, "wx", 0o600).catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return null;
    throw error;
  });
  if (file === null) return false;
  try {
    await file.writeFile(text);
  } finally {
    await file.close();
  }
  return true;
}

/** Null where there is no such file. */
async function readText(path: string): Promise<string | null> {
  return readFile(path, "utf8").catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  });
}

/** Another worker may have the folder by now: its lock stays. */
function removeOwn(path: string, own: string): void {
  let text: string | null = null;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    // It is gone already.
  }
  if (text === own) rmSync(path, { force: true });
}

/** The process that holds the lock, or null where none that lives does. */
export async function lockOwner(stateDir: string): Promise<LockOwner | null> {
  return liveOwner(await readFile(lockPath(stateDir), "utf8").catch(() => ""));
}

function liveOwner(text: string): LockOwner | null {
  const parsed = ownerSchema.safeParse(jsonOrNull(text));
  if (!parsed.success || !isAlive(parsed.data.pid)) return null;
  // The number may have been given to another process since.
  return startOf(parsed.data.pid) === parsed.data.started ? parsed.data : null;
}

/** A lock this young may not have been written whole yet. */
const writtenWithinMs = 1_000;

async function isFresh(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => null);
  return found !== null && found.size === 0 && Date.now() - found.mtimeMs < writtenWithinMs;
}

function lockPath(stateDir: string): string {
  return join(stateDir, lockName);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives and belongs to somebody else.
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

/**
 * Field 22 of /proc/PID/stat (proc(5)): the start in ticks since boot. The name before it may hold
 * spaces.
 */
export function startOf(pid: number): string | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ")[19] ?? null;
  } catch {
    // No /proc: macOS and Windows.
    return null;
  }
}
