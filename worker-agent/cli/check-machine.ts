import { readFileSync } from "node:fs";
import { freemem } from "node:os";
import type { Config } from "../config.ts";
import type { Machine } from "../hardware/machine.ts";
import { hardwareOf } from "../hardware/machine.ts";
import type { Check } from "./check.ts";
import { inMebibytes } from "./check.ts";
import { isNodeNewEnough, nodeLeast } from "./runtime-version.ts";

/** A socket a task for another server's engine, some for the edge, and the files of models. */
const openFilesLeast = 512;

/** Node, the processor and its memory, and what the system allows a process. */
export function checkMachine(config: Pick<Config, "threads" | "gpu">, machine: Machine): Check[] {
  const openFiles = openFilesLimit(readLimits());
  return [
    checkNode(),
    describeMachine(config, machine),
    ...(openFiles === null ? [] : [checkOpenFiles(openFiles)]),
  ];
}

function checkNode(): Check {
  const isNew = isNodeNewEnough(process.versions.node);
  const remedy = isNew ? null : `install Node ${nodeLeast} or later from nodejs.org`;
  return { name: "Node", found: process.versions.node, remedy };
}

function describeMachine(config: Pick<Config, "threads" | "gpu">, machine: Machine): Check {
  const { cpu, physicalCores, memoryBytes } = machine;
  const free = inMebibytes(Math.min(freemem(), memoryBytes));
  const memory = `${free} of ${inMebibytes(memoryBytes)} memory free`;
  const { tier } = hardwareOf(machine, config.gpu);
  const cores = physicalCores === 1 ? "1 core" : `${physicalCores} cores`;
  const found = `${cpu}, ${cores}, threads to use: ${config.threads}, ${memory}, tier ${tier}`;
  return { name: "Machine", found, remedy: null };
}

export function checkOpenFiles(limit: number): Check {
  const found = `${limit === Infinity ? "any number" : limit} may be open at once`;
  const isLow = limit < openFilesLeast;
  const remedy = isLow ? `raise it: ulimit -n ${8 * openFilesLeast} in the shell before` : null;
  return { name: "Files", found, remedy, isWarning: true };
}

/** The soft limit in Linux's /proc/self/limits; null where it does not tell. */
export function openFilesLimit(text: string): number | null {
  const limit = /^Max open files\s+(\d+|unlimited)\s/m.exec(text)?.[1];
  if (limit === undefined) return null;
  return limit === "unlimited" ? Infinity : Number(limit);
}

function readLimits(): string {
  try {
    return readFileSync("/proc/self/limits", "utf8");
  } catch {
    // Other systems than Linux: Node raises its limit to what it may have by itself.
    return "";
  }
}
