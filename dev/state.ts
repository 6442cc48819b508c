import { mkdir, readdir, readFile, rename, rm, statfs, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { z } from "zod";
import { type Lock, LockError, lockName, takeLock } from "../worker-agent/state/lock.ts";
import { isLeftOver } from "./left-over.ts";
import { newPepper, newSecrets, type Secrets } from "./secrets.ts";

/** What keeps `npm start` from starting, in one sentence with what to do. */
export class StartError extends Error {
  override readonly name = "StartError";
}

/** SQLite and workerd need room to write; below this they fail in odd places. */
const freeBytesMin = 100 * 1024 * 1024;

const secretsSchema = z.strictObject({
  operatorKey: z.string(),
  edgeKey: z.string(),
  ticketSecret: z.string(),
  // A folder of before there was one gets it at the next start; its consumer gets a new key.
  keyPepper: z.string().optional(),
});

const devFileSchema = z.object({ url: z.url() });
const consumerSchema = z.strictObject({ accountId: z.string(), apiKey: z.string() });
export type Consumer = z.infer<typeof consumerSchema>;

async function assertRoom(folder: string): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize >= freeBytesMin) return;
  const free = Math.floor((bavail * bsize) / 1024 / 1024);
  throw new StartError(`Cannot start: the disk of ${folder} has ${free} MiB left, 100 needed`);
}

/** The state folder of one local network. */
export class State {
  readonly folder: string;
  #lock: Lock | null = null;

  constructor(folder: string) {
    // Workers run in a folder of their own: what they are told must not depend on it.
    this.folder = resolve(folder);
  }

  /** Makes the folder this process's own, emptied first where `fresh`. Throws StartError. */
  async open(fresh: boolean): Promise<void> {
    try {
      await mkdir(this.folder, { recursive: true, mode: 0o700 });
      this.#lock = await takeLock(this.folder);
      await this.#assertNothingLeftOver();
      if (fresh) await this.#empty();
      await assertRoom(this.folder);
    } catch (error) {
      if (error instanceof StartError) throw error;
      if (error instanceof LockError) {
        throw new StartError(
          `Cannot start: a network runs from ${this.folder} already; stop it first`,
          { cause: error },
        );
      }
      const reason = error instanceof Error ? error.message : String(error);
      throw new StartError(`Cannot use ${this.folder}: ${reason}`, { cause: error });
    }
  }

  /** Lets another process have the folder. */
  close(): void {
    this.#lock?.release();
    this.#lock = null;
  }

  /** Two runtimes on one storage would each spend the same balances. */
  async #assertNothingLeftOver(): Promise<void> {
    const url = await this.#lastUrl();
    if (url === null || !(await isLeftOver(url))) return;
    throw new StartError(
      `Cannot start: what an npm start of ${this.folder} that was killed has left still listens ` +
        `on ${url}; end that process, workerd, first`,
    );
  }

  /** Where a network of this folder ran that did not stop in order. */
  async #lastUrl(): Promise<string | null> {
    try {
      const json: unknown = JSON.parse(await readFile(this.path("dev.json"), "utf8"));
      return devFileSchema.parse(json).url;
    } catch {
      // There is none, or it is damaged: it is written anew, and nobody can say what ran.
      return null;
    }
  }

  async #empty(): Promise<void> {
    for (const name of await readdir(this.folder)) {
      // The lock is what makes emptying safe.
      if (name !== lockName) await rm(join(this.folder, name), { recursive: true, force: true });
    }
  }

  path(...names: string[]): string {
    return join(this.folder, ...names);
  }

  async secrets(): Promise<Secrets> {
    const known = await this.#read("secrets.json", secretsSchema);
    if (known?.keyPepper !== undefined) return { ...known, keyPepper: known.keyPepper };
    const made = known === null ? await newSecrets("dev") : { ...known, keyPepper: newPepper() };
    await this.write("secrets.json", made);
    return made;
  }

  consumer(): Promise<Consumer | null> {
    return this.#read("consumer.json", consumerSchema);
  }

  /** Writes a private JSON file, whole or not at all. */
  async write(name: string, value: unknown): Promise<void> {
    const path = this.path(name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(`${path}.new`, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
    await rename(`${path}.new`, path);
  }

  async remove(name: string): Promise<void> {
    await rm(this.path(name), { force: true });
  }

  async #read<T>(name: string, schema: z.ZodType<T>): Promise<T | null> {
    let text: string;
    try {
      text = await readFile(this.path(name), "utf8");
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
      throw error;
    }
    try {
      return schema.parse(JSON.parse(text));
    } catch (error) {
      throw new StartError(
        `Cannot read ${this.path(name)}: it is damaged; start with --fresh to begin anew`,
        { cause: error },
      );
    }
  }
}
