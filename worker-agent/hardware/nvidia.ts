import type { Gpu, GpuFault, GpuReading } from "./gpu.ts";
import { noGpus, oneLine } from "./gpu.ts";
import type { ToolAnswer } from "./run-tool.ts";
import { runTool } from "./run-tool.ts";

/*
 * NVIDIA's cards by nvidia-smi, whose CSV query is the one output of it that is promised to stay
 * (nvidia-smi --help-query-gpu).
 */

const fields = ["index", "uuid", "name", "memory.total", "memory.free", "driver_version"] as const;
const migField = "mig.mode.current";

/**
 * Without its persistence daemon the driver starts each card anew for every call: seconds on a
 * machine with eight.
 */
const smiMs = 8_000;
/** Where Windows' Linux puts it, which is not on everybody's PATH. */
const smiPaths = ["nvidia-smi", "/usr/lib/wsl/lib/nvidia-smi"];

export interface NvidiaCard extends Gpu {
  readonly index: number;
  readonly uuid: string;
  readonly isMig: boolean;
}

/** NVIDIA's cards that a program of this process' environment may use. */
export async function readNvidia(env: NodeJS.ProcessEnv = process.env): Promise<GpuReading> {
  for (const path of smiPaths) {
    const answer = await query(path);
    if (answer.kind === "missing") continue;
    if (answer.kind !== "said") return { gpus: [], faults: nvidiaFaults(answer) };
    const cards = parseNvidiaCards(answer.text);
    const list = cards.some(({ isMig }) => isMig) ? await runTool(path, ["-L"], smiMs) : null;
    const listed = list?.kind === "said" ? list.text : "";
    return visibleReading(withMigMemory(cards, listed), env["CUDA_VISIBLE_DEVICES"]);
  }
  return noGpus;
}

async function query(path: string): Promise<ToolAnswer> {
  const ask = (names: readonly string[]) =>
    runTool(path, [`--query-gpu=${names.join(",")}`, "--format=csv,noheader,nounits"], smiMs);
  const answer = await ask([...fields, migField]);
  // Drivers before 450 know of no instances.
  const isOld = answer.kind === "failed" && answer.text.includes("not a valid field");
  return isOld ? ask(fields) : answer;
}

/** The lines of the CSV query. A line that is none, as of a broken tool, is left out. */
export function parseNvidiaCards(csv: string): NvidiaCard[] {
  return csv.split("\n").flatMap((line) => {
    const cells = line.split(",").map((cell) => cell.trim());
    const [index = "", uuid = "", name = "", total = "", free = "", driver = "", mig = ""] = cells;
    if (cells.length < fields.length || !/^\d{1,3}$/.test(index) || !uuid.startsWith("GPU-"))
      return [];
    const isMig = mig === "Enabled";
    const memoryBytes = mebibytes(total);
    return [
      {
        vendor: "nvidia" as const,
        index: Number(index),
        uuid,
        name: oneLine(name, 128),
        memoryBytes,
        freeBytes: mebibytes(free),
        driver: /^\d[\d.]*$/.test(driver) ? driver : null,
        // A GB10 or a Jetson has no memory of its own to tell of; an instance only may not tell.
        isUnified: memoryBytes === null && !isMig && /^\[?(N\/A|Not Supported)\]?$/.test(total),
        isMig,
      },
    ];
  });
}

function mebibytes(cell: string): number | null {
  return /^\d{1,9}$/.test(cell) ? Number(cell) * 2 ** 20 : null;
}

/**
 * A card that is cut into instances (MIG) gives a program one of them, and of all instances of the
 * machine the CUDA runtime shows a program only the first: the largest is the most it can get.
 * `listed` is what `nvidia-smi -L` says.
 */
export function withMigMemory(cards: readonly NvidiaCard[], listed: string): NvidiaCard[] {
  const bytesByIndex = new Map<number, number>();
  let index = -1;
  for (const line of listed.split("\n")) {
    const card = /^GPU (\d{1,3}):/.exec(line);
    if (card !== null) index = Number(card[1]);
    const instance = /^\s+MIG \S*?\.?(\d{1,4})gb\b/.exec(line);
    if (instance === null) continue;
    const bytes = Number(instance[1]) * 2 ** 30;
    bytesByIndex.set(index, Math.max(bytes, bytesByIndex.get(index) ?? 0));
  }
  const largest = Math.max(0, ...bytesByIndex.values());
  let isTaken = false;
  return cards.flatMap((card) => {
    if (!card.isMig) return [card];
    const bytes = bytesByIndex.get(card.index) ?? 0;
    if (bytes === 0) return [{ ...card, memoryBytes: 0, freeBytes: 0 }];
    if (isTaken || bytes < largest) return [];
    isTaken = true;
    return [{ ...card, name: `${card.name} (instance)`, memoryBytes: bytes, freeBytes: null }];
  });
}

/** What CUDA_VISIBLE_DEVICES leaves of the cards: indexes or UUIDs, up to the first unknown one. */
export function visibleCards(
  cards: readonly NvidiaCard[],
  visible: string | undefined,
): readonly NvidiaCard[] {
  if (visible === undefined) return cards;
  const chosen: NvidiaCard[] = [];
  for (const name of visible.split(",").map((part) => part.trim())) {
    if (name.startsWith("MIG-")) return cards.filter(({ isMig }) => isMig);
    const found = cards.find(
      ({ index, uuid }) => String(index) === name || (name.length > 4 && uuid.startsWith(name)),
    );
    // The CUDA runtime stops at the first that it does not know.
    if (found === undefined) break;
    chosen.push(found);
  }
  return chosen;
}

function visibleReading(cards: readonly NvidiaCard[], visible: string | undefined): GpuReading {
  const gpus = visibleCards(cards, visible);
  const faults: GpuFault[] = [];
  if (gpus.length === 0 && cards.length > 0) {
    faults.push({
      vendor: "nvidia",
      found: `CUDA_VISIBLE_DEVICES=${oneLine(visible ?? "")} hides every card`,
      remedy: "unset CUDA_VISIBLE_DEVICES, or name a card that is there",
    });
  }
  for (const { name, isMig, isUnified, memoryBytes } of gpus) {
    if (memoryBytes === null && !isUnified) {
      const found = `${name} does not tell its memory`;
      faults.push({ vendor: "nvidia", found, remedy: "reboot; the card or its driver is broken" });
    }
    if (!isMig || memoryBytes !== 0) continue;
    const found = `${name} is set to be cut into instances (MIG), and has none`;
    const remedy = "make one with nvidia-smi mig -cgi, or end it with nvidia-smi -mig 0";
    faults.push({ vendor: "nvidia", found, remedy });
  }
  return { gpus: gpus.filter(({ memoryBytes }) => memoryBytes !== 0), faults };
}

const reinstall = "install NVIDIA's driver for this kernel again, then reboot";

/** What nvidia-smi says when it cannot do its work, and what mends each. */
const remedies: readonly (readonly [RegExp, string])[] = [
  [
    /driver\/library version mismatch/i,
    "reboot: the driver was updated under a running system (or load its new kernel module)",
  ],
  [/couldn't communicate with the NVIDIA driver/i, reinstall],
  [/gpu is lost|fallen off the bus/i, "reboot, and check the card's seat and power if it repeats"],
  [/insufficient permissions/i, "let this user open /dev/nvidia*, say by the group video"],
  [/nvml: unknown error/i, "start the container again: it has lost its way to the card"],
  [/nvml: .*not found|shared library/i, "install NVIDIA's driver, or its container toolkit"],
];

/** Why there is a tool and no card. "No devices" is no fault: a driver without a card. */
export function nvidiaFaults(answer: ToolAnswer): GpuFault[] {
  switch (answer.kind) {
    case "said":
    case "missing":
      return [];
    case "hung": {
      const found = `nvidia-smi does not answer within ${answer.afterMs / 1_000} s`;
      const remedy = "reboot; if it repeats, look for Xid errors in dmesg";
      return [{ vendor: "nvidia", found, remedy }];
    }
    case "failed": {
      if (/no devices were found/i.test(answer.text)) return [];
      const found = `nvidia-smi fails: ${oneLine(answer.text) || "it says nothing"}`;
      const known = remedies.find(([said]) => said.test(answer.text));
      return [{ vendor: "nvidia", found, remedy: known?.[1] ?? reinstall }];
    }
  }
}
