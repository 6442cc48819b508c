import type { Config } from "../config.ts";
import type { LlamaBackend } from "../engine/embedded/embedded-llama-backend.ts";
import { readLlamaBackend } from "../engine/embedded/embedded-llama-backend.ts";
import type { Gpu } from "../hardware/gpu.ts";
import type { Machine } from "../hardware/machine.ts";
import { gpuMemoryBytes } from "../hardware/machine.ts";
import type { Check } from "./check.ts";
import { inMebibytes } from "./check.ts";

/** The graphics processors, their drivers, and whether llama.cpp computes on them. */
export async function checkGpus(config: Pick<Config, "gpu">, machine: Machine): Promise<Check[]> {
  const found = machine.gpus.map((gpu) => describeGpu(gpu, machine));
  if (config.gpu === "none") return found;
  const faults = machine.faults.map(({ found, remedy }): Check => ({
    name: "GPU",
    found,
    remedy: `${remedy}; or say --gpu none`,
  }));
  return [...found, ...faults, checkBackend(await readLlamaBackend(), machine)];
}

function describeGpu(gpu: Gpu, machine: Machine): Check {
  const bytes = gpuMemoryBytes(gpu, machine);
  const kind = gpu.isUnified ? " shared with the processor" : "";
  const free = gpu.freeBytes === null ? "" : `${inMebibytes(gpu.freeBytes)} free of `;
  const memory = bytes === 0 ? "memory unknown" : `${free}${inMebibytes(bytes)}${kind}`;
  const driver = gpu.driver === null ? "" : `, driver ${gpu.driver}`;
  return { name: "GPU", found: `${gpu.name}, ${memory}${driver}`, remedy: null };
}

/** Whether what llama.cpp found fits what the machine has. */
export function checkBackend(
  backend: LlamaBackend,
  machine: Pick<Machine, "gpus" | "memoryBytes">,
): Check {
  const name = "llama.cpp";
  if (backend.kind === "failed") {
    const found = `cannot be loaded: ${backend.reason}`;
    const remedy = "install octo-worker again, without --omit=optional; GGUF models need it";
    return { name, found, remedy, isWarning: true };
  }
  if (backend.gpu !== null) {
    const devices = backend.devices.join(", ");
    const found = `computes by ${backend.gpu} on ${devices}, ${inMebibytes(backend.memoryBytes)}`;
    return { name, found, remedy: null };
  }
  // A processor's own graphics would be no faster than the processor.
  const idle = machine.gpus.find(
    (gpu) => gpu.vendor !== "intel" && gpuMemoryBytes(gpu, machine) >= usefulBytes,
  );
  if (idle === undefined) return { name, found: "computes on the processor", remedy: null };
  const found = `computes on the processor alone, and ${idle.name} is idle`;
  return { name, found, remedy: `${backendRemedies[idle.vendor]}; or say --gpu none` };
}

/** Graphics inside a processor have half a gibibyte set apart for them. */
const usefulBytes = 2 * 2 ** 30;

const platform = `${process.platform === "win32" ? "win" : process.platform}-${process.arch}`;
const backendRemedies: Record<Gpu["vendor"], string> = {
  nvidia:
    `install @node-llama-cpp/${platform}-cuda beside octo-worker and the CUDA runtime ` +
    "(version 12 or later), or the Vulkan loader (libvulkan1)",
  amd: `install @node-llama-cpp/${platform}-vulkan beside octo-worker, and libvulkan1 with RADV`,
  apple: "install octo-worker again under a Node made for Apple's chips (arm64)",
  intel: `install @node-llama-cpp/${platform}-vulkan beside octo-worker, and libvulkan1`,
};
