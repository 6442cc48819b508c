import { spawn } from "node:child_process";

/** How a tool of the system answered. */
export type ToolAnswer =
  | { readonly kind: "said"; readonly text: string }
  /** It is not installed, which is no fault: most machines have none of these tools. */
  | { readonly kind: "missing" }
  /**
   * It ran and gave up, or could not run; `text` is what it said, on either stream. It has an exit
   * code where it ended by itself.
   */
  | { readonly kind: "failed"; readonly code: number | null; readonly text: string }
  | { readonly kind: "hung"; readonly afterMs: number };

/** A tool that takes longer waits for a driver that hangs. */
const toolMs = 2_000;
/** Sixty-four cards described at length need a tenth; a tool that floods is not read to its end. */
const outputCharsMax = 1_000_000;

/**
 * Runs a tool of the system, never through a shell, and gives what it says. A tool that hangs is
 * left behind at the limit even where the system cannot kill it, as happens inside a driver.
 */
export async function runTool(
  file: string,
  args: readonly string[],
  limitMs: number = toolMs,
): Promise<ToolAnswer> {
  return new Promise((resolve) => {
    const child = spawn(file, args, {
      stdio: ["ignore", "pipe", "pipe"],
      windowsHide: true,
      // Numbers and errors in one language.
      env: { ...process.env, LC_ALL: "C" },
    });
    let out = "";
    let errors = "";
    const answer = (result: ToolAnswer) => {
      clearTimeout(timer);
      child.stdout.destroy();
      child.stderr.destroy();
      child.kill("SIGKILL");
      child.unref();
      resolve(result);
    };
    const fail = (code: number | null, text: string) => answer({ kind: "failed", code, text });
    const timer = setTimeout(() => answer({ kind: "hung", afterMs: limitMs }), limitMs);
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      out += text;
      if (out.length > outputCharsMax) fail(null, "it says too much");
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      errors = (errors + text).slice(-outputCharsMax);
    });
    child.once("error", (error) => {
      const isMissing = "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
      if (isMissing) answer({ kind: "missing" });
      else fail(null, error.message);
    });
    child.once("close", (code) => {
      if (code === 0) answer({ kind: "said", text: out });
      else fail(code, `${out}\n${errors}`.trim());
    });
  });
}
