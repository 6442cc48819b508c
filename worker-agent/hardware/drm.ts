import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Gpu, GpuFault, GpuReading } from "./gpu.ts";
import { oneLine } from "./gpu.ts";

/*
 * Linux's own list of graphics processors, /sys/class/drm: a folder a card, whose `device` has the
 * PCI ids and what its driver tells. Needs no tool, and sees cards whose driver is the wrong one.
 */

const vendorByPciId = new Map<string, Gpu["vendor"]>([
  ["0x10de", "nvidia"],
  ["0x1002", "amd"],
  ["0x8086", "intel"],
]);

const makers: Record<Gpu["vendor"], string> = {
  nvidia: "NVIDIA",
  amd: "AMD",
  intel: "Intel",
  apple: "Apple",
};

/** The cards below a folder like /sys/class/drm; none where it is not there. */
export function readDrm(root = "/sys/class/drm"): GpuReading {
  const gpus: Gpu[] = [];
  const faults: GpuFault[] = [];
  for (const card of cardsIn(root)) {
    const device = join(root, card, "device");
    const vendor = vendorByPciId.get(textOf(join(device, "vendor")));
    if (vendor === undefined) continue;
    const driver = /^DRIVER=(.+)$/m.exec(textOf(join(device, "uevent")))?.[1] ?? null;
    const own = textOf(join(device, "product_name"));
    const id = textOf(join(device, "device"));
    const name = oneLine(own === "" ? `${makers[vendor]} ${id}` : own, 128);
    const fault = driverFault(vendor, name, driver);
    if (fault !== null) faults.push(fault);
    const total = bytesIn(device, "mem_info_vram_total") ?? bytesIn(root, card, "lmem_total_bytes");
    const used = bytesIn(device, "mem_info_vram_used");
    const freeBytes = total === null || used === null ? null : Math.max(0, total - used);
    gpus.push({ vendor, name, memoryBytes: total, freeBytes, driver, isUnified: false });
  }
  return { gpus, faults };
}

/** Cards that a driver for pictures alone has taken: nothing computes on them. */
function driverFault(vendor: Gpu["vendor"], name: string, driver: string | null): GpuFault | null {
  if (vendor === "nvidia" && driver !== "nvidia") {
    const found = `${name} runs under ${driver ?? "no driver"}`;
    return { vendor, found, remedy: "install NVIDIA's own driver (535 or later) and reboot" };
  }
  if (vendor === "amd" && driver !== "amdgpu") {
    const found = `${name} runs under ${driver ?? "no driver"}`;
    return { vendor, found, remedy: "use the kernel's amdgpu driver, and install Vulkan (RADV)" };
  }
  return null;
}

function cardsIn(root: string): string[] {
  try {
    return readdirSync(root).filter((name) => /^card\d+$/.test(name));
  } catch {
    // Containers and other systems have no such folder.
    return [];
  }
}

function bytesIn(...path: readonly string[]): number | null {
  const text = textOf(join(...path));
  return /^\d{1,15}$/.test(text) ? Number(text) : null;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    // Which files there are depends on the driver.
    return "";
  }
}
