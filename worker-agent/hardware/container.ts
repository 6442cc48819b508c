import { readFileSync } from "node:fs";
import { posix } from "node:path";

/*
 * What a container, a systemd unit or a batch system leaves a process of the machine: Linux control
 * groups, version 2 (cgroup v2, kernel documentation admin-guide/cgroup-v2) and version 1. The
 * strictest group from the process' own up to the root holds.
 */

export interface ContainerLimits {
  /** Null where there is none. */
  readonly memoryBytes: number | null;
  /** Processors' worth of time, say 1.5; null where there is no limit. */
  readonly cores: number | null;
}

/** The text of a file, or null where there is none. */
export type ReadText = (path: string) => string | null;

/** The limits of this process; none on other systems than Linux. */
export function readContainerLimits(read: ReadText = readText): ContainerLimits {
  const groups = read("/proc/self/cgroup") ?? "";
  const root = "/sys/fs/cgroup";
  const memory: (number | null)[] = [];
  const cores: (number | null)[] = [];
  for (const folder of upwards(pathOf(groups, ""))) {
    memory.push(bytesOf(read(`${root}${folder}/memory.max`)));
    cores.push(coresOfV2(read(`${root}${folder}/cpu.max`)));
  }
  for (const folder of upwards(pathOf(groups, "memory"))) {
    memory.push(bytesOf(read(`${root}/memory${folder}/memory.limit_in_bytes`)));
  }
  for (const folder of upwards(pathOf(groups, "cpu"))) {
    const at = `${root}/cpu${folder}`;
    cores.push(coresOfV1(read(`${at}/cpu.cfs_quota_us`), read(`${at}/cpu.cfs_period_us`)));
  }
  return { memoryBytes: least(memory), cores: least(cores) };
}

/** The group of a controller in /proc/self/cgroup; the name of version 2's is empty. */
function pathOf(groups: string, controller: string): string {
  for (const line of groups.split("\n")) {
    const [id = "", names = "", ...path] = line.split(":");
    const isIt = controller === "" ? id === "0" : names.split(",").includes(controller);
    if (isIt) return posix.normalize(path.join(":"));
  }
  return "/";
}

/** A group's folder and those above it; the root is the empty text. */
function upwards(path: string): string[] {
  const folders = [""];
  for (const part of path.split("/")) {
    // A group outside the container's own view begins with `..`: nothing of it can be read.
    if (part !== "" && part !== "..") folders.unshift(`${folders[0] ?? ""}/${part}`);
  }
  return folders;
}

/** Version 1 writes a number near 2^63 for "none". */
const unlimitedBytes = 2 ** 60;

function bytesOf(text: string | null): number | null {
  const bytes = Number(text?.trim() || Number.NaN);
  return bytes > 0 && bytes < unlimitedBytes ? bytes : null;
}

/** `QUOTA PERIOD` in microseconds; `max` for none. */
function coresOfV2(text: string | null): number | null {
  const [quota = "", period = ""] = (text ?? "").trim().split(/\s+/);
  return coresOfV1(quota, period);
}

function coresOfV1(quota: string | null, period: string | null): number | null {
  const cores = Number(quota?.trim() || Number.NaN) / Number(period?.trim() || Number.NaN);
  return cores > 0 && Number.isFinite(cores) ? cores : null;
}

function least(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : Math.min(...known);
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // No such controller here, or no control groups at all.
    return null;
  }
}
