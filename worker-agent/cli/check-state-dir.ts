import { randomUUID } from "node:crypto";
import type { Stats } from "node:fs";
import { rm, stat, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { SigningKey } from "../../shared/crypto/signing.ts";
import { describeError } from "../../shared/log.ts";
import { IdentityError, identityPath, loadIdentity } from "../identity.ts";
import { lockOwner } from "../state/lock.ts";
import type { Check } from "./check.ts";
import { inMebibytes } from "./check.ts";

/** The journal, the status and a small model's digest fit many times over. */
const diskBytesLeast = 100 * 2 ** 20;

/** The folder of a worker's state: its disk, its owner, the identity in it, who runs from it. */
export async function checkStateDir(stateDir: string): Promise<Check[]> {
  const found = await stat(stateDir).catch(() => null);
  return [
    await checkFolder(stateDir),
    ...(found === null ? [] : checkOwner(stateDir, found, process.getuid?.() ?? null)),
    ...(await checkIdentity(stateDir)),
    ...(await checkOther(stateDir)),
  ];
}

async function checkFolder(stateDir: string): Promise<Check> {
  const probe = join(stateDir, `.probe-${randomUUID()}`);
  try {
    await writeFile(probe, "");
    await rm(probe);
  } catch (error) {
    return folderFault(stateDir, error);
  }
  const disk = await statfs(stateDir);
  const freeBytes = disk.bavail * disk.bsize;
  const remedy = freeBytes < diskBytesLeast ? `free ${inMebibytes(diskBytesLeast)} of disk` : null;
  return { name: "Folder", found: `${stateDir}, ${inMebibytes(freeBytes)} of disk free`, remedy };
}

/** Why nothing can be written there. */
export function folderFault(stateDir: string, error: unknown): Check {
  const code = error instanceof Error && "code" in error ? error.code : "";
  const name = "Folder";
  if (code === "ENOENT") {
    return { name, found: `no ${stateDir}`, remedy: "make it with octo-worker init" };
  }
  if (code === "ENOSPC" || code === "EDQUOT") {
    const remedy = "free some disk (octo-worker models list), or name another with --state-dir";
    return { name, found: `${stateDir}: the disk is full`, remedy };
  }
  const remedy = `make ${stateDir} writable for this user, or name another with --state-dir`;
  return { name, found: describeError(error), remedy };
}

/** Others who may write there could take the worker's place. Windows has no such bits. */
export function checkOwner(
  stateDir: string,
  found: Pick<Stats, "uid" | "mode">,
  user: number | null,
): Check[] {
  if (user === null) return [];
  const name = "Folder";
  if (found.uid !== user) {
    const whose = `${stateDir} belongs to user ${found.uid}, and this is user ${user}`;
    return [{ name, found: whose, remedy: `run as its owner, or chown -R ${user} ${stateDir}` }];
  }
  if ((found.mode & 0o022) === 0) return [];
  const mode = (found.mode & 0o777).toString(8);
  const open = `${stateDir} may be written by others (mode ${mode})`;
  return [{ name, found: open, remedy: `chmod 700 ${stateDir}` }];
}

async function checkIdentity(stateDir: string): Promise<Check[]> {
  try {
    const key = await loadIdentity(stateDir);
    if (key === null) {
      const remedy = "make one with octo-worker init";
      return [{ name: "Identity", found: `no ${identityPath(stateDir)}`, remedy }];
    }
    return [{ name: "Identity", found: key.publicKey, remedy: null }, await checkSigning(key)];
  } catch (error) {
    if (!(error instanceof IdentityError)) throw error;
    const path = identityPath(stateDir);
    const remedy = `restore ${path} or mend its mode`;
    return [{ name: "Identity", found: error.message, remedy }];
  }
}

const signatures = 16;
/** Every answer waits for its receipt's signature; a Raspberry Pi signs ten times as fast. */
const signingMsMost = 10;

async function checkSigning(key: SigningKey): Promise<Check> {
  let fastestMs = Number.POSITIVE_INFINITY;
  for (let at = 0; at < signatures; at++) {
    const startMs = performance.now();
    await key.sign("octo-auth-v1", `doctor ${at}`);
    fastestMs = Math.min(fastestMs, performance.now() - startMs);
  }
  const remedy = fastestMs > signingMsMost ? "something else keeps this processor busy" : null;
  const found = `a receipt is signed in ${fastestMs.toPrecision(2)} ms`;
  return { name: "Signing", found, remedy, isWarning: true };
}

async function checkOther(stateDir: string): Promise<Check[]> {
  const owner = await lockOwner(stateDir);
  if (owner === null) return [];
  const found = `process ${owner.pid} runs from this folder`;
  const remedy = "see octo-worker status; a second one needs another --state-dir";
  return [{ name: "Worker", found, remedy, isWarning: true }];
}
