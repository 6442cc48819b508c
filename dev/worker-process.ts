import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createIdentity, loadIdentity } from "../worker-agent/identity.ts";

const cli = fileURLToPath(new URL("../worker-agent/cli.ts", import.meta.url));

/**
 * A worker that died is started again after this: soon enough for the next question, late enough to
 * read a log.
 */
const restartMs = 500;
/** What a worker may take to finish its answers once it is told to stop. */
const stopMs = 2_000;

/** A worker ends with one sentence; a crash of the runtime says more than anybody reads. */
const errorCharsMax = 4_096;

export interface WorkerOptions {
  readonly edgeUrl: string;
  readonly model: string;
  readonly stateDir: string;
  /** More flags of `octo-worker start`. */
  readonly flags?: readonly string[];
  /** Called with each new process, and with null when it has ended. */
  readonly onChange?: () => void;
}

/** One `octo-worker start` in a process of its own, started again whenever it ends by itself. */
export class WorkerProcess implements AsyncDisposable {
  /** The worker's public key: its id everywhere. */
  readonly id: string;
  readonly #options: WorkerOptions;
  #child: ChildProcess | null = null;
  #stopped = false;
  #failure: string | null = null;
  #restart: NodeJS.Timeout | null = null;

  private constructor(id: string, options: WorkerOptions) {
    this.id = id;
    this.#options = options;
  }

  static async start(options: WorkerOptions): Promise<WorkerProcess> {
    const { stateDir } = options;
    const key = (await loadIdentity(stateDir)) ?? (await createIdentity(stateDir));
    const worker = new WorkerProcess(key.publicKey, options);
    worker.#spawn();
    return worker;
  }

  /** The last thing said by a process that ended by itself because something is wrong. */
  get failure(): string | null {
    return this.#failure;
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  get logPath(): string {
    return join(this.#options.stateDir, "..", `${this.#name}.log`);
  }

  get #name(): string {
    return this.#options.stateDir.split(/[/\\]/).at(-1) ?? "worker";
  }

  #spawn(): void {
    const { edgeUrl, model, stateDir, flags = [] } = this.#options;
    const words = ["start", "--edge", edgeUrl, "--model", model, "--state-dir", stateDir, "--json"];
    // Several workers of one machine would measure each other.
    words.push("--benchmark", "never");
    const child = spawn(process.execPath, [cli, ...words, ...flags], {
      // Its input ends with this process, however that ends, and the worker with its input.
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, OCTO_STOP_WITH_STDIN: "1" },
      // A Ctrl-C in the terminal goes to the whole group; the worker is to hear it from us, in
      // order.
      detached: true,
    });
    const log = createWriteStream(this.logPath, { flags: "a", mode: 0o600 });
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    let errors = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      errors = (errors + text).slice(-errorCharsMax);
    });
    child.once("close", (code) => {
      log.end();
      this.#child = null;
      if (code !== null && code !== 0) this.#failure = errors.trim().split("\n").at(-1) ?? "";
      if (this.#stopped) return;
      this.#options.onChange?.();
      this.#restart = setTimeout(() => this.#spawn(), restartMs);
    });
    this.#child = child;
    this.#options.onChange?.();
  }

  /** Asks it to finish and leave; after two seconds it is ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    if (this.#restart !== null) clearTimeout(this.#restart);
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "close");
    child.kill("SIGTERM");
    const kill = setTimeout(() => child.kill("SIGKILL"), stopMs);
    await exited;
    clearTimeout(kill);
  }
}
