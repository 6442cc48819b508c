import { readdir, readFile } from "node:fs/promises";

/** Clock ticks a second in /proc/PID/stat: 100 on every Linux there is (sysconf(_SC_CLK_TCK)). */
const ticksPerS = 100;

/** The workerd that this process has started, by its id. */
export async function workerdPid(): Promise<number> {
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readStat(Number(name));
    if (stat?.name === "workerd" && stat.parent === process.pid) return Number(name);
  }
  throw new Error("no workerd is running under this process; /proc is needed, which is Linux's");
}

export interface ProcessUse {
  readonly cpuS: number;
  readonly memoryBytes: number;
  readonly files: number;
}

export async function processUse(pid: number): Promise<ProcessUse> {
  const stat = await readStat(pid);
  if (stat === null) throw new Error(`the process ${pid} is gone`);
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const memoryKib = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
  const files = (await readdir(`/proc/${pid}/fd`)).length;
  return { cpuS: stat.ticks / ticksPerS, memoryBytes: memoryKib * 1024, files };
}

/** How many files a process may have open at once. */
export async function filesMax(pid: number): Promise<number> {
  const limits = await readFile(`/proc/${pid}/limits`, "utf8");
  return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1]);
}

/** From proc(5): the name is in parentheses, and may hold any of them. */
async function readStat(
  pid: number,
): Promise<{ readonly name: string; readonly parent: number; readonly ticks: number } | null> {
  let text: string;
  try {
    text = await readFile(`/proc/${pid}/stat`, "utf8");
  } catch {
    // It has ended meanwhile.
    return null;
  }
  const name = text.slice(text.indexOf("(") + 1, text.lastIndexOf(")"));
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [, parent = "0"] = fields;
  return { name, parent: Number(parent), ticks: Number(fields[11]) + Number(fields[12]) };
}
