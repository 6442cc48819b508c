import type { CpuInfo } from "node:os";
import { cpus } from "node:os";
import { runTool } from "../hardware/run-tool.ts";
import type { LoadReadings } from "./availability.ts";
import { gpuUseOfOthers } from "./gpu-use.ts";

/** What runs for the network just now, which others' load has to be told apart from. */
export interface OwnWork {
  /** Tasks in engines of this process. */
  readonly isHere: boolean;
  /** Tasks in servers beside it, whose load looks like anybody's. */
  readonly isElsewhere: boolean;
}

/** Times in milliseconds since some beginning. */
export interface CpuTimes {
  readonly busyMs: number;
  readonly totalMs: number;
  /** Of this process. */
  readonly ownMs: number;
}

/** nvidia-smi watches for a second before it says anything. */
const gpuAnswerMs = 5_000;
/** A driver that does not tell, or hangs, is not asked all the time. */
const gpuRetryMs = 60_000;

/** What other programs use of this machine. */
export class LoadMeter {
  #before: CpuTimes | null = null;
  #hasNvidia = true;
  #askAgainMs = 0;

  async read(work: OwnWork): Promise<LoadReadings> {
    const now = readCpuTimes();
    const cpu = this.#before === null ? null : cpuUseOfOthers(this.#before, now);
    this.#before = now;
    const gpu = this.#hasNvidia ? await this.#readGpu(work) : null;
    return work.isElsewhere ? { cpu: null, gpu: null } : { cpu, gpu };
  }

  async #readGpu(work: OwnWork): Promise<number | null> {
    if (performance.now() < this.#askAgainMs) return null;
    const answer = await runTool("nvidia-smi", ["pmon", "-c", "1", "-s", "u"], gpuAnswerMs);
    if (answer.kind === "missing") this.#hasNvidia = false;
    if (answer.kind !== "said") {
      this.#askAgainMs = performance.now() + gpuRetryMs;
      return null;
    }
    return gpuUseOfOthers(answer.text, process.pid, work.isHere);
  }
}

/** The percentage of all processors that was not idle and not this process' own. */
export function cpuUseOfOthers(before: CpuTimes, now: CpuTimes): number | null {
  const totalMs = now.totalMs - before.totalMs;
  if (totalMs <= 0) return null;
  const othersMs = now.busyMs - before.busyMs - (now.ownMs - before.ownMs);
  return Math.min(100, Math.max(0, (100 * othersMs) / totalMs));
}

function readCpuTimes(): CpuTimes {
  const { user, system } = process.cpuUsage();
  return { ...sumTimes(cpus()), ownMs: (user + system) / 1_000 };
}

export function sumTimes(all: readonly Pick<CpuInfo, "times">[]): Omit<CpuTimes, "ownMs"> {
  let busyMs = 0;
  let totalMs = 0;
  for (const { times } of all) {
    const busy = times.user + times.nice + times.sys + times.irq;
    busyMs += busy;
    totalMs += busy + times.idle;
  }
  return { busyMs, totalMs };
}
