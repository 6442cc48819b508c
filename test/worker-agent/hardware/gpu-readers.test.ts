import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { parseAmdSmi, parseRocmSmi } from "../../../worker-agent/hardware/amd.ts";
import { parseSysctl } from "../../../worker-agent/hardware/apple.ts";
import { readDrm } from "../../../worker-agent/hardware/drm.ts";
import { parseAdapters } from "../../../worker-agent/hardware/windows.ts";

/** rocm-smi of a machine with a card and a processor's own graphics. */
const rocm = `{
  "card0": {
    "VRAM Total Memory (B)": "21458059264", "VRAM Total Used Memory (B)": "27856896",
    "Card Series": "Radeon RX 7900 XT", "Card Model": "0x744c",
    "Card Vendor": "Advanced Micro Devices, Inc. [AMD/ATI]", "GFX Version": "gfx1100"
  },
  "card1": {
    "VRAM Total Memory (B)": "67108864", "VRAM Total Used Memory (B)": "26079232",
    "Card Series": "Raphael"
  },
  "system": { "Driver version": "6.8.5" }
}`;

test("rocm-smi tells names, memory and the driver of each card", () => {
  expect(parseRocmSmi(`WARNING: something\n${rocm}`)).toEqual([
    {
      vendor: "amd",
      name: "Radeon RX 7900 XT",
      memoryBytes: 21_458_059_264,
      freeBytes: 21_458_059_264 - 27_856_896,
      driver: "6.8.5",
      isUnified: false,
    },
    {
      vendor: "amd",
      name: "Raphael",
      memoryBytes: 67_108_864,
      freeBytes: 67_108_864 - 26_079_232,
      driver: "6.8.5",
      isUnified: false,
    },
  ]);
});

test("amd-smi is read in the forms of its versions", () => {
  const card = (size: unknown) => ({
    gpu: 0,
    asic: { market_name: "AMD Instinct MI300X", vendor_id: "0x1002" },
    driver: { name: "amdgpu", version: "6.10.5" },
    vram: { type: "HBM", vendor: "N/A", size },
  });
  const bytes = 196_592 * 2 ** 20;
  const sizes = [{ value: 196_592, unit: "MB" }, 196_592, "196592 MB"];
  for (const size of sizes) {
    const found = parseAmdSmi(JSON.stringify([card(size)]));
    expect(found).toMatchObject([
      { name: "AMD Instinct MI300X", memoryBytes: bytes, driver: "6.10.5" },
    ]);
  }
  const wrapped = JSON.stringify({ gpu_data: [card(sizes[0])] });
  expect(parseAmdSmi(wrapped)).toMatchObject([{ memoryBytes: bytes }]);
});

test.for(["", "\u0000\uFFFD\u0001", "[]x", '{"card0": 7}', '[{"asic": 1}]'] as const)(
  "%j is no card of AMD's",
  (text) => {
    expect(parseAmdSmi(text)).toBeNull();
    expect(parseRocmSmi(text)).toBeNull();
    expect(parseAdapters(text)).toEqual([]);
  },
);

test("Apple's chips have the part of the memory that macOS lends Metal", () => {
  const mac = (name: string, gibibytes: number, limit: string) =>
    parseSysctl(
      `machdep.cpu.brand_string: ${name}\nhw.memsize: ${gibibytes * 2 ** 30}\n${limit}\n`,
    );
  expect(mac("Apple M1", 16, "")[0]).toMatchObject({
    name: "Apple M1",
    memoryBytes: Math.floor((16 * 2 ** 30 * 2) / 3),
    isUnified: true,
  });
  const unset = "iogpu.wired_limit_mb: 0";
  expect(mac("Apple M2 Ultra", 192, unset)[0]?.memoryBytes).toBe(144 * 2 ** 30);
  const set = "iogpu.wired_limit_mb: 122880";
  expect(mac("Apple M3 Max", 128, set)[0]?.memoryBytes).toBe(120 * 2 ** 30);
  expect(mac("Intel(R) Core(TM) i7-8700B CPU @ 3.20GHz", 64, unset)).toEqual([]);
  expect(parseSysctl("sysctl: unknown oid 'hw.memsize'")).toEqual([]);
});

test("Windows' adapters have the memory their drivers wrote down", () => {
  const amd = {
    DriverDesc: "AMD Radeon RX 7900 XTX",
    DriverVersion: "32.0.12033.1030",
    ProviderName: "Advanced Micro Devices, Inc.",
    Memory: "25753026560",
  };
  const basic = { DriverDesc: "Microsoft Basic Display Adapter", ProviderName: "Microsoft" };
  const intel = { DriverDesc: "Intel(R) UHD Graphics", ProviderName: "Intel", Memory: "" };
  expect(parseAdapters(JSON.stringify([amd, basic, intel]))).toEqual([
    {
      vendor: "amd",
      name: "AMD Radeon RX 7900 XTX",
      memoryBytes: 25_753_026_560,
      freeBytes: null,
      driver: "32.0.12033.1030",
      isUnified: false,
    },
    {
      vendor: "intel",
      name: "Intel(R) UHD Graphics",
      memoryBytes: null,
      freeBytes: null,
      driver: null,
      isUnified: false,
    },
  ]);
  expect(parseAdapters(JSON.stringify(amd))).toHaveLength(1);
});

function drmFolder(files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), "octo-drm-"));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), `${text}\n`);
  }
  return root;
}

test("the kernel's list knows a card's memory and driver without any tool", () => {
  const root = drmFolder({
    "card0/device/vendor": "0x1002",
    "card0/device/device": "0x744c",
    "card0/device/uevent": "DRIVER=amdgpu\nPCI_ID=1002:744C",
    "card0/device/mem_info_vram_total": "25753026560",
    "card0/device/mem_info_vram_used": "1000000000",
    "card0-DP-1/status": "connected",
    "card1/device/vendor": "0x1a03",
    "card2/device/vendor": "0x8086",
    "card2/device/device": "0x46a6",
    "card2/device/uevent": "DRIVER=i915",
    "renderD128/device/vendor": "0x1002",
  });
  const { gpus, faults } = readDrm(root);
  expect(gpus).toEqual([
    {
      vendor: "amd",
      name: "AMD 0x744c",
      memoryBytes: 25_753_026_560,
      freeBytes: 24_753_026_560,
      driver: "amdgpu",
      isUnified: false,
    },
    {
      vendor: "intel",
      name: "Intel 0x46a6",
      memoryBytes: null,
      freeBytes: null,
      driver: "i915",
      isUnified: false,
    },
  ]);
  expect(faults).toEqual([]);
});

test("a card under a driver that cannot compute is told with the one it needs", () => {
  const root = drmFolder({
    "card0/device/vendor": "0x10de",
    "card0/device/device": "0x2684",
    "card0/device/uevent": "DRIVER=nouveau",
  });
  expect(readDrm(root).faults).toMatchObject([
    { vendor: "nvidia", found: "NVIDIA 0x2684 runs under nouveau" },
  ]);
  expect(readDrm(join(root, "nowhere"))).toEqual({ gpus: [], faults: [] });
});
