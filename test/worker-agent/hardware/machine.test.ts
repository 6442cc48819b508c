import { expect, test } from "vitest";
import { hardwareSchema } from "../../../shared/protocol/listing.ts";
import type { ReadText } from "../../../worker-agent/hardware/container.ts";
import { readContainerLimits } from "../../../worker-agent/hardware/container.ts";
import type { Gpu } from "../../../worker-agent/hardware/gpu.ts";
import { noGpus } from "../../../worker-agent/hardware/gpu.ts";
import type { Machine } from "../../../worker-agent/hardware/machine.ts";
import {
  fingerprintOf,
  hardwareOf,
  joinLinux,
  readMachine,
} from "../../../worker-agent/hardware/machine.ts";

function card(name: string, mebibytes: number | null, changes: Partial<Gpu> = {}): Gpu {
  const memoryBytes = mebibytes === null ? null : mebibytes * 2 ** 20;
  const rest = { freeBytes: null, driver: "550.54.14", isUnified: false };
  return { vendor: "nvidia", name, memoryBytes, ...rest, ...changes };
}

function machineOf(...gpus: readonly Gpu[]): Machine {
  const memoryBytes = 128 * 2 ** 30;
  return { cpu: "A processor", physicalCores: 16, memoryBytes, gpus, faults: [] };
}

/** Cards with the memory nvidia-smi or the driver tells of them. */
test.for([
  ["GeForce RTX 3060", [12_288], "consumer"],
  ["RTX 2000 Ada 16 GB", [16_380], "consumer"],
  ["RTX 4000 Ada 20 GB", [20_475], "consumer"],
  ["Radeon RX 7900 XT 20 GB", [20_464], "consumer"],
  ["RTX 2080 Ti of 22 GB", [22_528], "consumer"],
  ["Tesla P40 24 GB with ECC", [22_919], "prosumer"],
  ["A10G 24 GB", [23_028], "prosumer"],
  ["L4 24 GB", [23_034], "prosumer"],
  ["GeForce RTX 4090 24 GB", [24_564], "prosumer"],
  ["GeForce RTX 3090 24 GB", [24_576], "prosumer"],
  ["Radeon RX 7900 XTX 24 GB", [24_560], "prosumer"],
  ["GeForce RTX 5090 32 GB", [32_607], "prosumer"],
  ["A100 40 GB", [40_960], "prosumer"],
  ["RTX A6000 48 GB", [49_140], "prosumer"],
  ["three of 24 GB", [24_564, 24_564, 24_564], "prosumer"],
  ["two of 12 GB", [12_288, 12_288], "prosumer"],
  ["H100 80 GB", [81_559], "enterprise"],
  ["A100 80 GB with ECC", [81_251], "enterprise"],
  ["four of 24 GB", [24_564, 24_564, 24_564, 24_564], "enterprise"],
  ["H200", [143_771], "enterprise"],
  ["no card", [], "consumer"],
] as const)("%s is in the tier its name says", ([name, sizes, tier]) => {
  const hardware = hardwareOf(machineOf(...sizes.map((size) => card(name, size))), "auto");
  expect(hardware.tier).toBe(tier);
  expect(hardwareSchema.parse(hardware)).toEqual(hardware);
});

test("a processor's memory makes no tier, a card that computes in it does", () => {
  expect(hardwareOf(machineOf(), "auto").tier).toBe("consumer");
  const unified = hardwareOf(machineOf(card("NVIDIA GB10", null, { isUnified: true })), "auto");
  expect(unified).toMatchObject({
    tier: "enterprise",
    gpus: [{ name: "NVIDIA GB10", memory_bytes: 128 * 2 ** 30 }],
  });
});

test("cards that are not to be used, or whose memory nobody knows, are not told of", () => {
  const machine = machineOf(card("RTX 4090", 24_564), card("Intel 0x46a6", null));
  expect(hardwareOf(machine, "auto").gpus.map(({ name }) => name)).toEqual(["RTX 4090"]);
  expect(hardwareOf(machine, "none")).toMatchObject({ gpus: [], tier: "consumer" });
});

test("another card or driver is another machine, a few pages of memory are not", () => {
  const of = (machine: Machine) => fingerprintOf(hardwareOf(machine, "auto"));
  const machine = machineOf(card("RTX 4090", 24_564));
  expect(of({ ...machine, memoryBytes: machine.memoryBytes - 8_192 })).toBe(of(machine));
  expect(of(machineOf(card("RTX 4080", 24_564)))).not.toBe(of(machine));
  const updated = machineOf(card("RTX 4090", 24_564, { driver: "560.1" }));
  expect(of(updated)).not.toBe(of(machine));
});

test("a tool's names win over the kernel's, and what a tool sees has the right driver", () => {
  const fault = { vendor: "nvidia", found: "runs under nouveau", remedy: "…" } as const;
  const amdCard = card("AMD 0x744c", 20_464, { vendor: "amd" });
  const intelCard = card("Intel 0x46a6", null, { vendor: "intel" });
  const drm = { gpus: [card("NVIDIA 0x2684", null), amdCard, intelCard], faults: [fault] };
  const nvidia = { gpus: [card("NVIDIA GeForce RTX 4090", 24_564)], faults: [] };
  const names = (reading: { readonly gpus: readonly Gpu[] }) => reading.gpus.map((gpu) => gpu.name);
  const whole = joinLinux(drm, nvidia, [card("Radeon RX 7900 XT", 20_464)]);
  expect(names(whole)).toEqual(["NVIDIA GeForce RTX 4090", "Radeon RX 7900 XT", "Intel 0x46a6"]);
  expect(whole.faults).toEqual([]);
  const bare = joinLinux(drm, noGpus, null);
  expect(names(bare)).toEqual(["AMD 0x744c", "Intel 0x46a6"]);
  expect(bare.faults).toEqual([fault]);
});

function filesOf(files: Readonly<Record<string, string>>): ReadText {
  return (path) => files[path] ?? null;
}

test.for([
  ["no control groups", {}, null, null],
  [
    "version 2 in a container",
    {
      "/proc/self/cgroup": "0::/\n",
      "/sys/fs/cgroup/memory.max": "2147483648\n",
      "/sys/fs/cgroup/cpu.max": "150000 100000\n",
    },
    2_147_483_648,
    1.5,
  ],
  [
    "version 2 of a unit, where a group above is stricter",
    {
      "/proc/self/cgroup": "0::/user.slice/a.service\n",
      "/sys/fs/cgroup/user.slice/a.service/memory.max": "max\n",
      "/sys/fs/cgroup/user.slice/memory.max": "1073741824\n",
      "/sys/fs/cgroup/user.slice/a.service/cpu.max": "max 100000\n",
    },
    1_073_741_824,
    null,
  ],
  [
    "version 1 in a container, whose group has another name outside",
    {
      "/proc/self/cgroup": "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n",
      "/sys/fs/cgroup/memory/memory.limit_in_bytes": "536870912\n",
      "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000\n",
      "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    },
    536_870_912,
    2,
  ],
  [
    "version 1 without limits",
    {
      "/proc/self/cgroup": "4:memory:/\n3:cpu:/\n",
      "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
      "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
      "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    },
    null,
    null,
  ],
  [
    "garbage",
    { "/proc/self/cgroup": "\u0000::..//x", "/sys/fs/cgroup/memory.max": "lots" },
    null,
    null,
  ],
] as const)("limits under %s", ([, files, memoryBytes, cores]) => {
  const found = readContainerLimits(filesOf(files as unknown as Record<string, string>));
  expect(found).toEqual({ memoryBytes, cores });
});

test("this machine tells of itself in the form the edge takes", async () => {
  const machine = await readMachine();
  const hardware = hardwareSchema.parse(hardwareOf(machine, "auto"));
  expect(hardware.physical_cores).toBeGreaterThanOrEqual(1);
  expect(hardware.memory_bytes).toBeGreaterThan(2 ** 28);
});
