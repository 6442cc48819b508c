import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const entry = fileURLToPath(new URL("../../cli/octo.ts", import.meta.url));

/** `octo` as its user runs it: a process, in a home folder of the test's. */
export class OctoUser implements Disposable {
  readonly home = mkdtempSync(join(tmpdir(), "octo-user-"));

  start(words: readonly string[], cwd = this.home): ChildProcessWithoutNullStreams {
    const env = { PATH: process.env["PATH"] ?? "", HOME: this.home };
    return spawn(process.execPath, [entry, ...words], { cwd, env });
  }

  /** Runs it to its end. */
  async run(words: readonly string[], input = "", cwd = this.home) {
    const child = this.start(words, cwd);
    let out = "";
    let err = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (err += text));
    child.stdin.end(input);
    await once(child, "close");
    return { code: child.exitCode, out, err };
  }

  /** Runs it, and gives the JSON it writes. */
  async json(words: readonly string[]): Promise<unknown> {
    const { code, out, err } = await this.run([...words, "--json"]);
    if (code !== 0) throw new Error(`octo ${words.join(" ")} ended with ${code}: ${err}`);
    return JSON.parse(out);
  }

  [Symbol.dispose](): void {
    rmSync(this.home, { recursive: true, force: true });
  }
}
