import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { access, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const version = "1.15.2";
/** The newest of what it allows that its streams work with. */
const overrides = { "@hono/node-server": "1.13.8", hono: "4.9.7", "@hono/node-ws": "1.2.0" };
const entry = join("node_modules", "@portkey-ai", "gateway", "build", "start-server.js");
/** A hundred packages from the registry, over a slow line. */
const installMs = 180_000;
/** It listens within a second. */
const startMs = 15_000;

/** Portkey's open-source gateway in a process of its own. */
export interface Portkey extends AsyncDisposable {
  readonly url: string;
  readonly pid: number | null;
  /** What a request says beside its body to reach `upstream`. */
  headersFor(upstream: string): Record<string, string>;
}

/** Starts the gateway, installed first where this machine has it not yet. */
export async function startPortkey(): Promise<Portkey> {
  const folder = await installed();
  const port = await freePort();
  const child = spawn(process.execPath, [entry, `--port=${port}`, "--headless"], {
    cwd: folder,
    stdio: "ignore",
    // Without it no request may name a host of this machine.
    env: { ...process.env, TRUSTED_CUSTOM_HOSTS: "127.0.0.1", NODE_ENV: "production" },
  });
  await using started = new AsyncDisposableStack();
  started.defer(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const closed = once(child, "close");
    child.kill("SIGKILL");
    await closed;
  });
  await once(child, "spawn");
  const url = `http://127.0.0.1:${port}`;
  await answering(url);
  const running = started.move();
  return {
    url,
    pid: child.pid ?? null,
    headersFor: (upstream) => ({
      authorization: "Bearer none",
      "content-type": "application/json",
      "x-portkey-provider": "openai",
      "x-portkey-custom-host": `${upstream}/v1`,
    }),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** The folder it is installed in, under the user's cache: it is no dependency of this project. */
async function installed(): Promise<string> {
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const folder = join(cache, "cipherocto-bench", `portkey-${version}`);
  const isThere = await access(join(folder, entry)).then(
    () => true,
    () => false,
  );
  if (isThere) return folder;
  await mkdir(join(folder, ".."), { recursive: true });
  // Whole or not at all: an install that was cut off is not found again.
  const fresh = await mkdtemp(`${folder}-`);
  try {
    const dependencies = { "@portkey-ai/gateway": version };
    const manifest = { name: "portkey-bench", private: true, dependencies, overrides };
    await writeFile(join(fresh, "package.json"), JSON.stringify(manifest));
    const words = ["install", "--prefix", fresh, "--ignore-scripts", "--no-audit", "--no-fund"];
    await promisify(execFile)("npm", words, { cwd: fresh, timeout: installMs });
    await rename(fresh, folder);
  } catch (error) {
    await rm(fresh, { recursive: true, force: true });
    throw error;
  }
  return folder;
}

async function freePort(): Promise<number> {
  const probe = createServer();
  probe.listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  await once(probe, "close");
  if (address === null || typeof address === "string") throw new Error("no port was given");
  return address.port;
}

async function answering(url: string): Promise<void> {
  const deadlineMs = Date.now() + startMs;
  for (;;) {
    const response = await fetch(url).catch(() => null);
    await response?.body?.cancel();
    if (response !== null) return;
    if (Date.now() > deadlineMs) throw new Error(`it does not answer within ${startMs} ms`);
    await sleep(100);
  }
}
