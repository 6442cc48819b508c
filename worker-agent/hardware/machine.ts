import { createHash } from "node:crypto";
import { cpus, totalmem } from "node:os";
import type { Hardware } from "../../shared/protocol/listing.ts";
import { readAmdTools } from "./amd.ts";
import { readApple } from "./apple.ts";
import { readContainerLimits } from "./container.ts";
import { readDrm } from "./drm.ts";
import type { Gpu, GpuFault, GpuReading } from "./gpu.ts";
import { noGpus, oneLine } from "./gpu.ts";
import { countPhysicalCores } from "./hardware.ts";
import { readNvidia } from "./nvidia.ts";
import { tierOf } from "./tier.ts";
import { readWindows } from "./windows.ts";

/** What this machine has, as far as this process may use it. */
export interface Machine {
  readonly cpu: string;
  readonly physicalCores: number;
  /** Main memory, within the limit a container sets. */
  readonly memoryBytes: number;
  readonly gpus: readonly Gpu[];
  readonly faults: readonly GpuFault[];
}

/** Looks at the machine; at most seconds, where a driver hangs. Never throws. */
export async function readMachine(): Promise<Machine> {
  const { gpus, faults } = await readGpus();
  const limit = readContainerLimits().memoryBytes;
  return {
    cpu: oneLine(cpus()[0]?.model ?? "", 128) || "unknown",
    physicalCores: countPhysicalCores(),
    memoryBytes: Math.min(totalmem(), limit ?? Number.POSITIVE_INFINITY),
    gpus,
    faults,
  };
}

async function readGpus(): Promise<GpuReading> {
  switch (process.platform) {
    case "darwin":
      return { ...noGpus, gpus: await readApple() };
    case "win32": {
      const [nvidia, others] = await Promise.all([readNvidia(), readWindows()]);
      return { gpus: [...nvidia.gpus, ...others], faults: nvidia.faults };
    }
    default: {
      const drm = readDrm();
      const [nvidia, amd] = await Promise.all([
        readNvidia(),
        drm.gpus.some(({ vendor }) => vendor === "amd") ? readAmdTools() : null,
      ]);
      return joinLinux(drm, nvidia, amd);
    }
  }
}

/** The tools know a maker's cards better than the kernel's list, which knows what they miss. */
export function joinLinux(
  drm: GpuReading,
  nvidia: GpuReading,
  amdTools: readonly Gpu[] | null,
): GpuReading {
  const ofKernel = (vendor: Gpu["vendor"]) => drm.gpus.filter((gpu) => gpu.vendor === vendor);
  const amd = amdTools !== null && amdTools.length > 0 ? amdTools : ofKernel("amd");
  // A card that computes has the right driver, whatever else the machine draws its pictures with.
  const faults = drm.faults.filter(({ vendor }) => vendor !== "nvidia" || nvidia.gpus.length === 0);
  return {
    gpus: [...nvidia.gpus, ...amd, ...ofKernel("intel")],
    faults: [...nvidia.faults, ...faults],
  };
}

/** The memory a graphics processor computes in; 0 where nobody knows. */
export function gpuMemoryBytes(gpu: Gpu, machine: Pick<Machine, "memoryBytes">): number {
  return gpu.memoryBytes ?? (gpu.isUnified ? machine.memoryBytes : 0);
}

/**
 * The machine as it is told to the edge. Graphics processors that are not to be used, or whose
 * memory nobody knows, are no part of it: a tier is measured.
 */
export function hardwareOf(machine: Machine, gpu: "auto" | "none"): Hardware {
  const usable = gpu === "none" ? [] : machine.gpus;
  const gpus = usable
    .map((one) => ({
      name: one.name,
      memory_bytes: Math.floor(gpuMemoryBytes(one, machine)),
      driver: one.driver,
    }))
    .filter((one) => one.memory_bytes > 0)
    .slice(0, gpusMax);
  return {
    cpu: machine.cpu,
    physical_cores: Math.min(4096, machine.physicalCores),
    memory_bytes: Math.floor(machine.memoryBytes),
    gpus,
    tier: tierOf(gpus.reduce((sum, one) => sum + one.memory_bytes, 0)),
  };
}

/** As many as a frame may tell of. */
const gpusMax = 64;

/** Names a machine in its measurements: another card, driver or memory makes another one. */
export function fingerprintOf(hardware: Hardware): string {
  const { cpu, physical_cores: cores, memory_bytes: bytes, gpus } = hardware;
  // A virtual machine's memory differs by some pages from one start to the next.
  const known = [cpu, cores, Math.round(bytes / 2 ** 28), gpus];
  return createHash("sha256").update(JSON.stringify(known)).digest("hex").slice(0, 16);
}
