export type GpuVendor = "nvidia" | "amd" | "apple" | "intel";

/** One graphics processor, as its driver describes it. */
export interface Gpu {
  readonly vendor: GpuVendor;
  readonly name: string;
  /** Its own memory; null where it shares the system's, or where nobody tells. */
  readonly memoryBytes: number | null;
  readonly freeBytes: number | null;
  /** The driver's version, or its name where it has none. */
  readonly driver: string | null;
  /** It computes in the system's memory, as Apple's chips and NVIDIA's GB10 do. */
  readonly isUnified: boolean;
}

/** Something of a graphics processor that keeps it from being used, and how to mend it. */
export interface GpuFault {
  readonly vendor: GpuVendor;
  readonly found: string;
  readonly remedy: string;
}

export interface GpuReading {
  readonly gpus: readonly Gpu[];
  readonly faults: readonly GpuFault[];
}

export const noGpus: GpuReading = { gpus: [], faults: [] };

/** What tools write goes into a terminal and a frame: one line of it, and no control characters. */
export function oneLine(text: string, charsMax = 160): string {
  const first = text.split("\n").find((line) => line.trim() !== "") ?? "";
  const clean = first.replaceAll(/[\p{Cc}\p{Cf}\uFFFD]/gu, " ").trim();
  return [...clean].slice(0, charsMax).join("");
}
