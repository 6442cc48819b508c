import { expect, test } from "vitest";
import {
  nvidiaFaults,
  parseNvidiaCards,
  visibleCards,
  withMigMemory,
} from "../../../worker-agent/hardware/nvidia.ts";

/** nvidia-smi --query-gpu=index,uuid,name,memory.total,… --format=csv,noheader,nounits */
const two = [
  "0, GPU-5c89852c-d268-c3f3-1b07-005d5ae1dc3f, NVIDIA GeForce RTX 4090, 24564, 23790, " +
    "550.54.14, [N/A]",
  "1, GPU-1b2c3d4e-0000-1111-2222-333344445555, NVIDIA GeForce RTX 3090, 24576, 24258, " +
    "550.54.14, [N/A]",
  "",
].join("\n");

test("every card is read, with memory in bytes and its driver", () => {
  const cards = parseNvidiaCards(two);
  expect(cards).toHaveLength(2);
  expect(cards[0]).toEqual({
    vendor: "nvidia",
    index: 0,
    uuid: "GPU-5c89852c-d268-c3f3-1b07-005d5ae1dc3f",
    name: "NVIDIA GeForce RTX 4090",
    memoryBytes: 24_564 * 2 ** 20,
    freeBytes: 23_790 * 2 ** 20,
    driver: "550.54.14",
    isUnified: false,
    isMig: false,
  });
});

test("a card without memory of its own computes in the system's", () => {
  const gb10 = "0, GPU-0a-1, NVIDIA GB10, [N/A], [N/A], 580.126.09, [N/A]";
  expect(parseNvidiaCards(gb10)[0]).toMatchObject({ memoryBytes: null, isUnified: true });
  const jetson = "0, GPU-0a-1, Orin (nvgpu), [Not Supported], [Not Supported], 540.3.0, [N/A]";
  expect(parseNvidiaCards(jetson)[0]).toMatchObject({ memoryBytes: null, isUnified: true });
});

test("a card that is lost tells no memory, and shares none", () => {
  const lost = "0, GPU-0a-1, NVIDIA A40, [GPU is lost], [GPU is lost], 535.183.01, [GPU is lost]";
  expect(parseNvidiaCards(lost)[0]).toMatchObject({ memoryBytes: null, isUnified: false });
});

test.for([
  ["nothing", ""],
  ["a header", "index, uuid, name, memory.total [MiB], memory.free [MiB], driver_version, mig"],
  ["binary garbage", "\u0000\u0001\uFFFD\uFFFD,\u0007,,,,,,\n\u001b[2J0, GPU"],
  ["an error in place of lines", "Failed to initialize NVML: Driver/library version mismatch"],
] as const)("%s holds no card", ([, text]) => {
  expect(parseNvidiaCards(text)).toEqual([]);
});

test("a name cannot steer the terminal that shows it", () => {
  const evil = "0, GPU-0a-1, NVIDIA \u001b[2J\u0007X, 100, 100, \u001b]0;pwn, Disabled";
  expect(parseNvidiaCards(evil)[0]).toMatchObject({ name: "NVIDIA  [2J X", driver: null });
});

const a100 = "0, GPU-63feeb45-94c6-b9cb-78ea-98e9b7a5be6b, NVIDIA A100-SXM4-40GB, 40960, ";
const cut = `${a100}[Insufficient Permissions], 535.104.05, Enabled`;
/** The list of the MIG user guide. */
const listed = `GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-63feeb45-94c6-b9cb-78ea-98e9b7a5be6b)
  MIG 1g.5gb      Device  0: (UUID: MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f)
  MIG 3g.20gb     Device  1: (UUID: MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb)
`;

test("of a card that is cut into instances a program gets the largest one", () => {
  const [card] = withMigMemory(parseNvidiaCards(cut), listed);
  expect(card).toMatchObject({
    name: "NVIDIA A100-SXM4-40GB (instance)",
    memoryBytes: 20 * 2 ** 30,
    freeBytes: null,
  });
  const parts = listed.replace("3g.20gb ", "1c.3g.20gb+me ");
  expect(withMigMemory(parseNvidiaCards(cut), parts)[0]?.memoryBytes).toBe(20 * 2 ** 30);
});

test("a card set to be cut, without instances, has no memory to use", () => {
  const [card] = withMigMemory(parseNvidiaCards(cut), "");
  expect(card?.memoryBytes).toBe(0);
});

test("two cut cards are one instance, because CUDA shows a program no more", () => {
  const cards = parseNvidiaCards(`${cut}\n${cut.replace(/^0/, "1")}`);
  const both = `${listed}GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-2)\n  MIG 2g.10gb Device 0: (…)`;
  expect(withMigMemory(cards, both).map(({ memoryBytes }) => memoryBytes)).toEqual([20 * 2 ** 30]);
});

test.for([
  [undefined, [0, 1]],
  ["1,0", [1, 0]],
  ["1", [1]],
  ["GPU-1b2c", [1]],
  ["0,7,1", [0]],
  ["-1", []],
  ["", []],
] as const)("CUDA_VISIBLE_DEVICES %j leaves the cards %j", ([visible, left]) => {
  expect(visibleCards(parseNvidiaCards(two), visible).map(({ index }) => index)).toEqual(left);
});

test.for([
  [
    "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 535.183\n",
    "Driver/library version mismatch",
    "reboot",
  ],
  [
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure " +
      "that the latest NVIDIA driver is installed and running.\n",
    "couldn't communicate",
    "install NVIDIA's driver",
  ],
  [
    "Unable to determine the device handle for GPU 0000:01:00.0: GPU is lost.  Reboot the system",
    "GPU is lost",
    "reboot",
  ],
  ["Failed to initialize NVML: Insufficient Permissions\n", "Permissions", "/dev/nvidia"],
  ["Failed to initialize NVML: Unknown Error\n", "Unknown Error", "container"],
  ["", "it says nothing", "install"],
] as const)("%j is said with what mends it", ([text, found, remedy]) => {
  const [fault] = nvidiaFaults({ kind: "failed", code: 9, text });
  expect(fault?.found).toContain(found);
  expect(fault?.remedy).toContain(remedy);
});

test("a driver without a card is no fault, nor is a machine without the tool", () => {
  expect(nvidiaFaults({ kind: "failed", code: 6, text: "No devices were found\n" })).toEqual([]);
  expect(nvidiaFaults({ kind: "missing" })).toEqual([]);
  expect(nvidiaFaults({ kind: "hung", afterMs: 8_000 })[0]?.remedy).toContain("dmesg");
});
