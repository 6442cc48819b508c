import { randomUUID } from "node:crypto";
import { rm, statfs, writeFile } from "node:fs/promises";
import { freemem } from "node:os";
import { join } from "node:path";
import { describeError } from "../../shared/log.ts";
import type { Config } from "../config.ts";
import { readMachine } from "../hardware/machine.ts";
import { IdentityError, identityPath, loadIdentity } from "../identity.ts";
import type { Check } from "./check.ts";
import { inMebibytes } from "./check.ts";

/** package.json asks for the same. */
const nodeMajorLeast = 20;
/** The journal, the status and a small model's digest fit many times over. */
const diskBytesLeast = 100 * 2 ** 20;

/** Node, the hardware, the state folder and the identity in it. */
export async function checkMachine(config: Config): Promise<Check[]> {
  return [
    checkNode(),
    await describeHardware(config.threads),
    await checkStateDir(config.stateDir),
    await checkIdentity(config.stateDir),
  ];
}

function checkNode(): Check {
  const isNew = Number(process.versions.node.split(".")[0]) >= nodeMajorLeast;
  const remedy = isNew ? null : `install Node ${nodeMajorLeast} or later from nodejs.org`;
  return { name: "Node", found: process.versions.node, remedy };
}

async function describeHardware(threads: number): Promise<Check> {
  const { cpu, physicalCores, memoryBytes } = await readMachine();
  const memory = `${inMebibytes(freemem())} of ${inMebibytes(memoryBytes)} memory free`;
  const found = `${cpu}, ${physicalCores} cores, threads to use: ${threads}, ${memory}`;
  return { name: "Machine", found, remedy: null };
}

async function checkStateDir(stateDir: string): Promise<Check> {
  const probe = join(stateDir, `.probe-${randomUUID()}`);
  try {
    await writeFile(probe, "");
    await rm(probe);
  } catch (error) {
    const isMissing = error instanceof Error && "code" in error && error.code === "ENOENT";
    const remedy = isMissing
      ? "make it with octo-worker init"
      : `make ${stateDir} writable for this user, or name another with --state-dir`;
    return { name: "Folder", found: isMissing ? `no ${stateDir}` : describeError(error), remedy };
  }
  const disk = await statfs(stateDir);
  const freeBytes = disk.bavail * disk.bsize;
  const remedy = freeBytes < diskBytesLeast ? `free ${inMebibytes(diskBytesLeast)} of disk` : null;
  return { name: "Folder", found: `${stateDir}, ${inMebibytes(freeBytes)} of disk free`, remedy };
}

async function checkIdentity(stateDir: string): Promise<Check> {
  try {
    const key = await loadIdentity(stateDir);
    if (key !== null) return { name: "Identity", found: key.publicKey, remedy: null };
    const remedy = "make one with octo-worker init";
    return { name: "Identity", found: `no ${identityPath(stateDir)}`, remedy };
  } catch (error) {
    if (!(error instanceof IdentityError)) throw error;
    const path = identityPath(stateDir);
    return { name: "Identity", found: error.message, remedy: `restore ${path} or mend its mode` };
  }
}
