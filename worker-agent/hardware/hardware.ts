import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { readContainerLimits } from "./container.ts";

/**
 * Decoding gains nothing from a core's second thread, and one core is left for the sockets and the
 * system.
 */
export function defaultThreads(physicalCores: number = countPhysicalCores()): number {
  return Math.max(1, physicalCores - 1);
}

/**
 * Physical cores this process may use, at least 1. A container's share of time counts: threads
 * beyond it are stopped in the middle of every step, and all others wait for them.
 */
export function countPhysicalCores(): number {
  const allowed = Math.min(availableParallelism(), readContainerLimits().cores ?? Infinity);
  return Math.max(1, Math.floor(Math.min(allowed, physicalCoresOfSystem() ?? allowed)));
}

function physicalCoresOfSystem(): number | null {
  try {
    if (process.platform === "linux") return coresInCpuInfo(readFileSync("/proc/cpuinfo", "utf8"));
    if (process.platform === "darwin") {
      const options = { encoding: "utf8", timeout: 1_000 } as const;
      return Number(execFileSync("/usr/sbin/sysctl", ["-n", "hw.physicalcpu"], options)) || null;
    }
  } catch {
    // A system that does not tell: every logical core then counts as one.
  }
  return null;
}

/**
 * Distinct pairs of package and core in Linux's /proc/cpuinfo; null where it has none, as on Arm.
 */
export function coresInCpuInfo(text: string): number | null {
  const cores = new Set<string>();
  let packageId = "0";
  for (const line of text.split("\n")) {
    const [name = "", value = ""] = line.split(":").map((field) => field.trim());
    if (name === "physical id") packageId = value;
    if (name === "core id") cores.add(`${packageId}:${value}`);
  }
  return cores.size === 0 ? null : cores.size;
}
