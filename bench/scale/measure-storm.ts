import { join } from "node:path";
import { startEdge } from "../../dev/edge.ts";
import { Operator } from "../../dev/operator.ts";
import { newSecrets } from "../../dev/secrets.ts";
import { atMost, explaining, type Figure } from "../figure.ts";
import { filesMax, processUse, workerdPid } from "./process-stat.ts";
import { scaleListing } from "./network.ts";
import { Storm } from "./storm.ts";

/** Workers of one provider, who pays for one account. */
const workersPerAccount = 250;
/**
 * workerd holds a WebSocket by two open files, and after a storm those of a lost one until it has
 * come to hearing of it, while its worker is back already: so twice two.
 */
const filesPerWorker = 4;
/** The edge's own files: three for the storage of each hub and account, and the runtime's. */
const filesBeside = 1_000;
const fillWithinMs = 180_000;
/** Ten times what is promised: what takes longer is broken, not slow. */
const recoverWithinMs = 300_000;
const idleMs = 30_000;
/** After the storm: until the last digest, the last row of the registry. */
const calmMs = 15_000;

/**
 * Ten thousand workers on one edge: real sockets with real proofs. All are destroyed at once, and
 * come back by the rules of octo-worker; then all of them are idle.
 */
export async function measureStorm(
  folder: string,
  progress: (line: string) => void,
  workersWanted: number,
): Promise<readonly Figure[]> {
  await using stack = new AsyncDisposableStack();
  const secrets = await newSecrets("dev");
  const vars = { OCTO_PREFLIGHT: "off" };
  const stateDir = join(folder, "edge");
  const edge = stack.use(await startEdge({ port: 0, stateDir, secrets, vars }));
  const pid = await workerdPid();
  const workers = await affordable(pid, workersWanted, progress);
  const accounts = await providers(new Operator(edge.url, secrets.operatorKey), workers);
  const before = await processUse(pid);
  const url = `${edge.url.replace(/^http/, "ws")}/worker`;
  progress(`${workers} workers dial in …`);
  const { operatorKey } = secrets;
  const listing = scaleListing(0);
  const told = { url, workers, accounts, listing, edge: { url: edge.url, operatorKey } };
  const storm = stack.use(new Storm(told, 2));
  const filled = await storm.untilReady(workers, 0, fillWithinMs);
  progress(described(`${filled.ready} are listed`, filled));
  if (filled.ready < workers) throw new Error(`${workers - filled.ready} did not get in`);
  const after = await processUse(pid);
  progress(`workerd: ${after.files} open files, ${mib(after.memoryBytes)} MiB`);
  await pause(calmMs);

  progress("all sockets are destroyed at once …");
  const killedMs = Date.now();
  const killedUse = await processUse(pid);
  await storm.tell("kill");
  const back = await storm.untilReady(workers, workers, recoverWithinMs);
  const isWhole = back.ready >= workers;
  const recoveredS = isWhole ? (back.lastReadyMs - killedMs) / 1_000 : recoverWithinMs / 1_000;
  progress(described(`${back.ready} are back after ${recoveredS.toFixed(1)} s`, back));
  const cpuMs = (1_000 * ((await processUse(pid)).cpuS - killedUse.cpuS)) / workers;
  progress(`workerd: ${(await processUse(pid)).files} open files`);
  await pause(calmMs);

  progress(`all idle for ${idleMs / 1_000} s, but for a heartbeat every 10 s …`);
  const idlePercent = await corePercent(pid, idleMs);
  await storm.tell("stop");
  const socketBytes = (after.memoryBytes - before.memoryBytes) / workers;
  return [
    explaining("scale.storm_workers", workers, ""),
    atMost(30, "scale.storm_recovered_s", recoveredS, "s"),
    atMost(0, "scale.storm_rejected", back.rejected, ""),
    explaining("scale.storm_cpu_ms_per_worker", cpuMs, "ms"),
    explaining("scale.storm_hubs", Object.keys(back.workersByHub).length, ""),
    atMost(10, "scale.idle_core_percent", idlePercent, "%"),
    explaining("scale.socket_memory_bytes", socketBytes, "B"),
  ];
}

async function providers(operator: Operator, workers: number): Promise<string[]> {
  const accounts: string[] = [];
  while (accounts.length < workers / workersPerAccount) {
    const { accountId } = await operator.createConsumer(`provider ${accounts.length}`, 1);
    accounts.push(accountId);
  }
  return accounts;
}

/** The share of a core that a process takes for a while. */
async function corePercent(pid: number, ms: number): Promise<number> {
  const startMs = performance.now();
  const from = await processUse(pid);
  await pause(ms);
  const to = await processUse(pid);
  return (100 * (to.cpuS - from.cpuS)) / ((performance.now() - startMs) / 1_000);
}

/** As many workers as this machine lets one process have open files for. */
async function affordable(
  pid: number,
  workersWanted: number,
  progress: (line: string) => void,
): Promise<number> {
  const most = await filesMax(pid);
  // In hundreds, so that the figures of two machines compare.
  const room = 100 * Math.floor((most - filesBeside) / filesPerWorker / 100);
  if (room >= workersWanted) return workersWanted;
  progress(
    `A process may open only ${most} files here (ulimit -n), and ${workersWanted} workers need ` +
      `${filesPerWorker * workersWanted + filesBeside}: these figures are of ${room} workers.`,
  );
  return room;
}

function described(
  what: string,
  { rejected, reasons, workersByHub }: Awaited<ReturnType<Storm["tell"]>>,
): string {
  const counts = Object.values(workersByHub).toSorted((a, b) => b - a);
  const hubs = `${counts.length} hubs of ${counts.at(-1)} to ${counts[0]} workers`;
  const why = rejected === 0 ? "" : ` (${JSON.stringify(reasons)})`;
  return `${what}: ${hubs}, ${rejected} dials rejected${why}`;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function mib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0);
}
