import { readdir, readFile } from "node:fs/promises";

/** Linux counts the time of processes in hundredths of a second for everybody (USER_HZ). */
const tickUs = 10_000;

interface ProcessStat {
  readonly name: string;
  readonly parent: number;
  readonly cpuTicks: number;
}

/** The processor time a process has used so far, all its threads together, in microseconds. */
export async function cpuUsOf(pid: number): Promise<number> {
  const stat = await readStat(pid);
  if (stat === null) throw new Error(`Cannot read the processor time of ${pid}: it has ended`);
  return stat.cpuTicks * tickUs;
}

/** The runtimes this process has started; none where the system has no /proc. */
export async function workerdPids(): Promise<number[]> {
  const names = await readdir("/proc").catch(() => []);
  const pids = names.filter((name) => /^\d+$/.test(name)).map(Number);
  const stats = await Promise.all(pids.map(async (pid) => ({ pid, stat: await readStat(pid) })));
  const ours = stats.filter(
    ({ stat }) => stat?.parent === process.pid && stat.name.startsWith("workerd"),
  );
  return ours.map(({ pid }) => pid);
}

/** See proc_pid_stat(5): the name is in parentheses and may hold any character. */
async function readStat(pid: number): Promise<ProcessStat | null> {
  // A process may end while it is looked at.
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => null);
  if (text === null) return null;
  const nameEnd = text.lastIndexOf(")");
  const fields = text.slice(nameEnd + 2).split(" ");
  return {
    name: text.slice(text.indexOf("(") + 1, nameEnd),
    parent: Number(fields[1]),
    cpuTicks: Number(fields[11]) + Number(fields[12]),
  };
}
