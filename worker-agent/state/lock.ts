import { readFileSync, rmSync } from "node:fs";
import { open, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

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
  const own: LockOwner = { pid: process.pid, started: startOf(process.pid) };
  // Twice, because a stale lock is removed first; whoever creates the file has it.
  for (let attempt = 0; attempt < 2; attempt++) {
    const file = await open(path, "wx", 0o600).catch((error: unknown) => {
      if (error instanceof Error && "code" in error && error.code === "EEXIST") return null;
      throw error;
    });
    if (file !== null) {
      await file.writeFile(JSON.stringify(own));
      await file.close();
      return { owner: own, release: () => rmSync(path, { force: true }) };
    }
    const owner = await lockOwner(stateDir);
    if (owner !== null) {
      throw new LockError(
        `Cannot start: octo-worker runs already from ${stateDir} (process ${owner.pid}); ` +
          "stop it, or give this one another folder with --state-dir",
      );
    }
    if (await isFresh(path)) break;
    await rm(path, { force: true });
  }
  throw new LockError(`Cannot start: another octo-worker is just starting from ${stateDir}`);
}

/** The process that holds the lock, or null where none that lives does. */
export async function lockOwner(stateDir: string): Promise<LockOwner | null> {
  const text = await readFile(lockPath(stateDir), "utf8").catch(() => "");
  const parsed = ownerSchema.safeParse(parseJson(text));
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
function startOf(pid: number): string | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ")[19] ?? null;
  } catch {
    // No /proc: macOS and Windows.
    return null;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // A lock that was never written whole belongs to nobody.
    return null;
  }
}
