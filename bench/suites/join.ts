import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, symlink } from "node:fs/promises";
import { join as joinPath } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Figure, median } from "../figure.ts";
import { newFolder, newNetwork } from "../new-network.ts";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));
const rounds = 3;
const pollMs = 25;
/** Three times what is promised: what takes longer is broken, not slow. */
const giveUpMs = 60_000;

/**
 * How long a stranger waits: `npx octo-worker --edge …` in an empty folder, with the package as npm
 * would publish it, until the edge lists its model. npm's download cache is warm, everything else
 * is new: the installation, the identity, the benchmark, the hub's preflight.
 */
export async function join(progress: (line: string) => void): Promise<readonly Figure[]> {
  await using stack = new AsyncDisposableStack();
  const folder = await newFolder(stack);
  progress("packing octo-worker …");
  await run("npm", ["pack", "-w", "octo-worker", "--pack-destination", folder], { cwd: root });
  const [packed = ""] = (await readdir(folder)).filter((name) => name.endsWith(".tgz"));
  const tarball = joinPath(folder, packed);
  const { stdout } = await run("npm", ["config", "get", "cache"], { cwd: root });
  const network = stack.use(
    await newNetwork(joinPath(folder, "network"), { workers: 0, model: "octo-tiny" }),
  );
  const seconds: number[] = [];
  for (let round = 1; round <= rounds + 1; round++) {
    const home = joinPath(folder, `home-${round}`);
    const took = await joinOnce({ home, tarball, cache: stdout.trim(), network });
    progress(`round ${round}: listed after ${took.toFixed(1)} s`);
    // The first round fills npm's download cache where it was empty.
    if (round > 1) seconds.push(took);
  }
  const figure = { figure: "worker.join_s", unit: "s", target: 20, better: "lower" } as const;
  return [{ ...figure, value: median(seconds) }];
}

interface Joining {
  readonly home: string;
  readonly tarball: string;
  /** The npm cache whose downloads are used. */
  readonly cache: string;
  readonly network: { readonly url: string; readonly consumer: { readonly apiKey: string } };
}

/** Seconds from the command to the listing. */
async function joinOnce({ home, tarball, cache, network }: Joining): Promise<number> {
  const place = joinPath(home, "empty");
  const npmCache = joinPath(home, "npm");
  await mkdir(place, { recursive: true });
  await mkdir(npmCache);
  await symlink(joinPath(cache, "_cacache"), joinPath(npmCache, "_cacache"));
  const startedMs = performance.now();
  const flags = ["--yes", "--prefer-offline", `--package=${tarball}`, "octo-worker"];
  const child = spawn("npx", [...flags, "--edge", network.url], {
    cwd: place,
    env: { ...process.env, HOME: home, npm_config_cache: npmCache, OCTO_STOP_WITH_STDIN: "1" },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let said = "";
  child.stdout.on("data", (data) => (said += String(data)));
  child.stderr.on("data", (data) => (said += String(data)));
  try {
    await listed(network, child, startedMs, () => said);
    return (performance.now() - startedMs) / 1_000;
  } finally {
    const ended = child.exitCode === null ? once(child, "close") : null;
    child.stdin.end();
    await ended;
    await gone(network);
  }
}

async function listed(
  network: Joining["network"],
  child: ChildProcess,
  startedMs: number,
  said: () => string,
): Promise<void> {
  while (!(await isListed(network))) {
    if (child.exitCode !== null) throw new Error(`octo-worker ended: ${said()}`);
    if (performance.now() - startedMs > giveUpMs) {
      throw new Error(`octo-worker was not listed within ${giveUpMs} ms: ${said()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

/** The next round begins where nobody serves the model any more. */
async function gone(network: Joining["network"]): Promise<void> {
  while (await isListed(network)) await new Promise((resolve) => setTimeout(resolve, pollMs));
}

async function isListed({ url, consumer }: Joining["network"]): Promise<boolean> {
  const headers = { authorization: `Bearer ${consumer.apiKey}` };
  const response = await fetch(`${url}/v1/models/octo-tiny`, { headers });
  await response.body?.cancel();
  return response.ok;
}
