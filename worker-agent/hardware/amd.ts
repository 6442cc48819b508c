import { z } from "zod";
import { jsonOrNull } from "../../shared/json-or-null.ts";
import type { Gpu } from "./gpu.ts";
import { oneLine } from "./gpu.ts";
import { runTool } from "./run-tool.ts";

/*
 * AMD's cards by amd-smi or the older rocm-smi, which know their names; memory alone is in sysfs
 * too (drm.ts).
 */

/** AMD's cards by its tools; null where there is neither tool or neither can be read. */
export async function readAmdTools(): Promise<readonly Gpu[] | null> {
  const words = ["static", "--asic", "--vram", "--driver", "--json"];
  const newer = await runTool("amd-smi", words);
  const found = newer.kind === "said" ? parseAmdSmi(newer.text) : null;
  if (found !== null && found.length > 0) return found;
  const shown = ["--showproductname", "--showmeminfo", "vram", "--showdriverversion", "--json"];
  const older = await runTool("rocm-smi", shown);
  return older.kind === "said" ? parseRocmSmi(older.text) : null;
}

const amount = z.object({ value: z.number(), unit: z.string() });
const amdSmiCard = z.object({
  asic: z.object({ market_name: z.string() }),
  vram: z.object({ size: z.union([amount, z.number(), z.string()]) }),
  driver: z.object({ version: z.string().optional(), driver_version: z.string().optional() }),
});
/** ROCm 7 puts the list into an object. */
const amdSmiSchema = z.union([
  z.array(amdSmiCard),
  z.object({ gpu_data: z.array(amdSmiCard) }).transform(({ gpu_data: cards }) => cards),
]);

/** `amd-smi static --asic --vram --driver --json`; null where it is something else. */
export function parseAmdSmi(text: string): Gpu[] | null {
  const parsed = amdSmiSchema.safeParse(jsonOrNull(text));
  if (!parsed.success) return null;
  return parsed.data.map(({ asic, vram, driver }) =>
    amdGpu(asic.market_name, {
      memoryBytes: sizeBytes(vram.size),
      freeBytes: null,
      driver: driver.version ?? driver.driver_version ?? null,
    }),
  );
}

/** amd-smi writes MB and counts 2^20 bytes. */
function sizeBytes(size: number | string | z.infer<typeof amount>): number | null {
  if (typeof size === "number") return size * 2 ** 20;
  const { value, unit } =
    typeof size === "string"
      ? { value: Number.parseFloat(size), unit: size.replace(/^[\d.\s]+/, "") }
      : size;
  if (!Number.isFinite(value)) return null;
  return Math.round(value * (unit === "GB" ? 2 ** 30 : 2 ** 20));
}

const rocmCards = z.record(z.string(), z.record(z.string(), z.string()));

/** `rocm-smi --json` with names, memory and driver; null where it is something else. */
export function parseRocmSmi(text: string): Gpu[] | null {
  // Warnings may stand before the document.
  const parsed = rocmCards.safeParse(jsonOrNull(text.slice(Math.max(0, text.indexOf("{")))));
  if (!parsed.success) return null;
  const driver = parsed.data["system"]?.["Driver version"] ?? null;
  return Object.entries(parsed.data).flatMap(([key, card]) => {
    if (!/^card\d+$/.test(key)) return [];
    const name = card["Card Series"] ?? card["Card series"] ?? card["Device Name"] ?? "AMD GPU";
    const total = byteCount(card["VRAM Total Memory (B)"]);
    const used = byteCount(card["VRAM Total Used Memory (B)"]);
    const freeBytes = total === null || used === null ? null : Math.max(0, total - used);
    return [amdGpu(name, { memoryBytes: total, freeBytes, driver })];
  });
}

function amdGpu(name: string, more: Pick<Gpu, "memoryBytes" | "freeBytes" | "driver">): Gpu {
  const driver = more.driver === null ? null : oneLine(more.driver, 64);
  return { vendor: "amd", name: oneLine(name, 128), ...more, driver, isUnified: false };
}

function byteCount(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : null;
}
