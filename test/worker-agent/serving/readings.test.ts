import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { gpuUseOfOthers } from "../../../worker-agent/serving/gpu-use.ts";
import { cpuUseOfOthers, LoadMeter, sumTimes } from "../../../worker-agent/serving/load-meter.ts";
import { readFreeBytes } from "../../../worker-agent/hardware/free-memory.ts";
import { memoryAllowance } from "../../../worker-agent/serving/memory-limit.ts";
import { until } from "../../helpers/until.ts";

const before = { busyMs: 1_000, totalMs: 10_000, ownMs: 500 };

test.for([
  ["an idle machine", { busyMs: 1_000, totalMs: 12_000, ownMs: 500 }, 0],
  ["only this process", { busyMs: 2_000, totalMs: 12_000, ownMs: 1_500 }, 0],
  ["only others", { busyMs: 2_000, totalMs: 12_000, ownMs: 500 }, 50],
  ["both", { busyMs: 3_000, totalMs: 12_000, ownMs: 1_000 }, 75],
  ["clocks that disagree", { busyMs: 1_000, totalMs: 12_000, ownMs: 900 }, 0],
] as const)("the load of others on %s", ([, now, percent]) => {
  expect(cpuUseOfOthers(before, now)).toBe(percent);
});

test("no time between two readings tells nothing", () => {
  expect(cpuUseOfOthers(before, before)).toBeNull();
});

test("the times of all processors add up", () => {
  const times = { user: 1, nice: 2, sys: 3, irq: 4, idle: 90 };
  expect(sumTimes([{ times }, { times }])).toEqual({ busyMs: 20, totalMs: 200 });
});

test("a program that computes is seen, and our own computing is not", async () => {
  const meter = new LoadMeter();
  const work = { isHere: false, isElsewhere: false };
  await meter.read(work);
  const busy = spawn(process.execPath, ["-e", "for (;;);"]);
  try {
    const seen = await until("it is seen", async () => {
      const { cpu } = await meter.read(work);
      return cpu !== null && cpu > 5 ? cpu : null;
    });
    expect(seen).toBeLessThanOrEqual(100);
    // Load of a server that works for us cannot be told from theirs.
    expect(await meter.read({ ...work, isElsewhere: true })).toEqual({ cpu: null, gpu: null });
  } finally {
    busy.kill("SIGKILL");
    await once(busy, "close");
  }
});

const pmon = `# gpu         pid   type     sm    mem    enc    dec    jpg    ofa    command
# Idx           #    C/G      %      %      %      %      %      %    name
    0       1234     C     45     12      -      -      -      -    octo-worker
    0       2000     G      6      1      -      -      -      -    Xorg
    0       2001     C     20      1      -      -      -      -    python3
    1       2002     C      -      -      -      -      -      -    idle
`;

test("what others use of a GPU is theirs alone, of the card they use most", () => {
  expect(gpuUseOfOthers(pmon, 1234, true)).toBe(26);
  expect(gpuUseOfOthers(pmon, 2001, true)).toBe(51);
});

test("a GPU's use that cannot be told from ours is unknown", () => {
  expect(gpuUseOfOthers(pmon, 99, true)).toBeNull();
  expect(gpuUseOfOthers(pmon, 99, false)).toBe(71);
  expect(gpuUseOfOthers("Not supported on this system", 1234, false)).toBeNull();
  const idle = pmon.split("\n").slice(0, 2).join("\n") + "\n    0          -     -      -\n";
  expect(gpuUseOfOthers(idle, 1234, false)).toBe(0);
});

test.for([
  [{ kind: "share", percent: 50 }, 1_000, 400, 500],
  [{ kind: "share", percent: 100 }, 1_000, 0, 950],
  [{ kind: "bytes", bytes: 600 }, 1_000, 400, 200],
  [{ kind: "bytes", bytes: 600 }, 100, 400, 95],
  [{ kind: "bytes", bytes: 600 }, 1_000, 700, 0],
] as const)(
  "of %o with %i free and %i held a model may take the rest",
  ([limit, free, held, may]) => {
    expect(memoryAllowance(limit, free, held)).toBe(may);
  },
);

test("this machine has memory free", async () => {
  expect(await readFreeBytes("none")).toBeGreaterThan(0);
  expect(await readFreeBytes("auto")).toBeGreaterThanOrEqual(1);
});

test("a low priority is that of every thread, those of the pool included", async () => {
  const script = `
    const { readdirSync } = require("node:fs");
    const { getPriority } = require("node:os");
    require("node:fs").readFile(process.execPath, async () => {
      const { lowerPriority } = await import(${JSON.stringify(
        new URL("../../../worker-agent/serving/priority.ts", import.meta.url).href,
      )});
      lowerPriority((level, message) => { throw new Error(message); });
      const isLinux = process.platform === "linux";
      const threads = isLinux ? readdirSync("/proc/self/task").map(Number) : [0];
      console.log(JSON.stringify(threads.map((thread) => getPriority(thread))));
    });
  `;
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  let out = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
  await once(child, "close");
  const priorities = JSON.parse(out) as number[];
  expect(priorities.length).toBeGreaterThan(process.platform === "linux" ? 4 : 0);
  expect(new Set(priorities)).toEqual(new Set([10]));
});
