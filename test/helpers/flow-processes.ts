import { execFileSync } from "node:child_process";

/** What a network consists of, by its command line: the rest of our children are the tests' own. */
const ofNetwork = /workerd|worker-agent\/cli\.ts|dev\/start\.ts/;

export interface FlowProcess {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
}

/** The processes of networks that descend from `root`. */
export function networkProcesses(root: number = process.pid): FlowProcess[] {
  const all = runningProcesses();
  const found: FlowProcess[] = [];
  const from = [root];
  for (let parent = from.shift(); parent !== undefined; parent = from.shift()) {
    for (const child of all.filter((one) => one.parent === parent)) {
      from.push(child.pid);
      if (ofNetwork.test(child.command)) found.push(child);
    }
  }
  return found;
}

/** The runtime under the edge that this process started. */
export function workerdPid(root?: number): number {
  const found = networkProcesses(root).find(({ command }) => command.includes("workerd serve"));
  if (found === undefined) throw new Error("no workerd runs below this process");
  return found.pid;
}

/** Whether the process exists and is more than an entry that nobody has collected yet. */
export function isRunning(pid: number): boolean {
  return runningProcesses().some((one) => one.pid === pid);
}

/** Resident memory of a process. */
export function residentBytes(pid: number): number {
  const kibibytes = execFileSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" });
  return Number(kibibytes) * 1024;
}

function runningProcesses(): FlowProcess[] {
  const words = ["-axo", "pid=,ppid=,stat=,args="];
  const lines = execFileSync("ps", words, { encoding: "utf8", maxBuffer: 2 ** 24 }).split("\n");
  return lines.flatMap((line) => {
    const [, pid, parent, state, command] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    if (pid === undefined || command === undefined || state?.startsWith("Z")) return [];
    return [{ pid: Number(pid), parent: Number(parent), command }];
  });
}
