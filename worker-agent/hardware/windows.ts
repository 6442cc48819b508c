import { z } from "zod";
import { jsonOrNull } from "../../shared/json-or-null.ts";
import type { Gpu } from "./gpu.ts";
import { oneLine } from "./gpu.ts";
import { runTool } from "./run-tool.ts";

/** The display adapters' class in the registry, where drivers write their memory as 64 bits. */
const adapters =
  "HKLM:\\SYSTEM\\CurrentControlSet\\Control\\Class\\{4d36e968-e325-11ce-bfc1-08002be10318}\\0*";
const script =
  `Get-ItemProperty '${adapters}' -ErrorAction SilentlyContinue | ` +
  "Select-Object DriverDesc,DriverVersion,ProviderName," +
  "@{n='Memory';e={[string]$_.'HardwareInformation.qwMemorySize'}} | ConvertTo-Json -Compress";

/** PowerShell alone takes a second or two to start. */
const powershellMs = 8_000;

/** Windows' display adapters but NVIDIA's, which nvidia-smi knows better. */
export async function readWindows(): Promise<readonly Gpu[]> {
  const words = ["-NoProfile", "-NonInteractive", "-Command", script];
  const answer = await runTool("powershell.exe", words, powershellMs);
  return answer.kind === "said" ? parseAdapters(answer.text) : [];
}

const adapter = z.object({
  DriverDesc: z.string(),
  DriverVersion: z.string().nullish(),
  ProviderName: z.string().nullish(),
  Memory: z.string().nullish(),
});
/** ConvertTo-Json writes a list of one as the one. */
const adaptersSchema = z.union([z.array(adapter), adapter.transform((one) => [one])]);

/** The registry's adapters as ConvertTo-Json writes them; those of other makers are left out. */
export function parseAdapters(text: string): Gpu[] {
  const parsed = adaptersSchema.safeParse(jsonOrNull(text));
  if (!parsed.success) return [];
  return parsed.data.flatMap(({ DriverDesc, DriverVersion, ProviderName, Memory }) => {
    const vendor = vendorOf(`${ProviderName ?? ""} ${DriverDesc}`);
    if (vendor === null) return [];
    const isTold = /^\d{1,15}$/.test(Memory ?? "");
    return [
      {
        vendor,
        name: oneLine(DriverDesc, 128),
        memoryBytes: isTold ? Number(Memory) : null,
        freeBytes: null,
        driver: DriverVersion ? oneLine(DriverVersion, 64) : null,
        isUnified: false,
      },
    ];
  });
}

function vendorOf(text: string): Gpu["vendor"] | null {
  if (/\b(AMD|Advanced Micro Devices|Radeon)\b/i.test(text)) return "amd";
  if (/\bIntel\b/i.test(text)) return "intel";
  return null;
}
