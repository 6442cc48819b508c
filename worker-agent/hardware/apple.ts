import type { Gpu } from "./gpu.ts";
import { oneLine } from "./gpu.ts";
import { runTool } from "./run-tool.ts";

/** Apple's chips compute in the system's memory; macOS lends Metal only a part of it. */
export async function readApple(): Promise<readonly Gpu[]> {
  const names = ["machdep.cpu.brand_string", "hw.memsize", "iogpu.wired_limit_mb"];
  const answer = await runTool("/usr/sbin/sysctl", names);
  // A name that this macOS does not have makes it fail after it has told the others.
  return answer.kind === "said" || answer.kind === "failed" ? parseSysctl(answer.text) : [];
}

/** What `sysctl NAMES` says, a line a name; no GPU on a Mac of Intel's. */
export function parseSysctl(text: string): Gpu[] {
  const values = new Map<string, string>();
  for (const line of text.split("\n")) {
    const at = line.indexOf(": ");
    if (at > 0) values.set(line.slice(0, at), line.slice(at + 2).trim());
  }
  const name = values.get("machdep.cpu.brand_string") ?? "";
  const bytes = Number(values.get("hw.memsize") ?? "");
  if (!name.startsWith("Apple ") || !(bytes > 0)) return [];
  const limit = Number(values.get("iogpu.wired_limit_mb") ?? "0") * 2 ** 20;
  return [
    {
      vendor: "apple",
      name: oneLine(name, 128),
      memoryBytes: limit > 0 ? Math.min(limit, bytes) : metalBytes(bytes),
      freeBytes: null,
      driver: null,
      isUnified: true,
    },
  ];
}

/**
 * What Metal recommends to use at most where nobody has set a limit: two thirds of a memory up to
 * 36 GiB, three quarters of a larger one (llama.cpp prints it as recommendedMaxWorkingSetSize).
 */
function metalBytes(bytes: number): number {
  return Math.floor(bytes <= 36 * 2 ** 30 ? (bytes * 2) / 3 : (bytes * 3) / 4);
}
