import { constants, setPriority } from "node:os";
import { readdirSync } from "node:fs";
import type { Log } from "../../shared/log.ts";
import { describeError } from "../../shared/log.ts";

/**
 * Lets every other program go first, with what this process starts from now on. It gives the
 * processors back only where others want them: a worker that is alone is as fast as before.
 */
export function lowerPriority(log: Log): void {
  try {
    setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
    for (const thread of threads()) lowerThread(thread);
  } catch (error) {
    log("warn", "Cannot lower the priority: other programs may become slower", {
      error: describeError(error),
    });
  }
}

/**
 * On Linux a priority is a thread's, and new threads have that of the one which made them
 * (setpriority(2), notes): those of the thread pool exist before this runs.
 */
function threads(): number[] {
  if (process.platform !== "linux") return [];
  return readdirSync("/proc/self/task").map(Number);
}

function lowerThread(thread: number): void {
  try {
    setPriority(thread, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch (error) {
    // It has ended since it was listed.
    const info = error instanceof Error && "info" in error ? error.info : null;
    if (typeof info !== "object" || info === null || !("code" in info)) throw error;
    if (info.code !== "ESRCH") throw error;
  }
}
