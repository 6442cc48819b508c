import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { isRunning, networkProcesses } from "./flow-processes.ts";
import { until } from "./until.ts";

const entry = fileURLToPath(new URL("../../dev/start.ts", import.meta.url));

/** What `npm start` runs, in a folder of the test's. */
export class StartProcess implements AsyncDisposable {
  out = "";
  err = "";
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;

  constructor(cwd: string, words: readonly string[]) {
    const env = { ...process.env, NO_COLOR: "1" };
    const child = spawn(process.execPath, [entry, ...words], {
      cwd,
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    child.stdout.setEncoding("utf8").on("data", (text: string) => (this.out += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (this.err += text));
    this.#exited = once(child, "close");
    this.#child = child;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async untilReady(): Promise<void> {
    await until(
      "the network is ready",
      () => {
        if (this.#child.exitCode !== null) throw new Error(`it ended: ${this.out}${this.err}`);
        return this.out.includes("Ctrl-C stops it");
      },
      60_000,
    );
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Waits for its end; gives the exit code. */
  async exitCode(): Promise<number | null> {
    await this.#exited;
    return this.#child.exitCode;
  }

  /** Ctrl-C, and everything it had started is gone. */
  async stop(): Promise<number | null> {
    const below = networkProcesses(this.pid).map(({ pid }) => pid);
    this.signal("SIGINT");
    const code = await this.exitCode();
    const left = below.filter((pid) => isRunning(pid));
    if (left.length > 0) throw new Error(`left running: ${left.join(" ")}`);
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#exited;
  }
}

/** A port that nobody has just now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("a port has a number");
  return address.port;
}
