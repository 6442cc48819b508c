import type { Figure } from "../figure.ts";
import { newFolder } from "../new-network.ts";
import { measureChoosing } from "../scale/choosing.ts";
import { measureStorm } from "../scale/measure-storm.ts";
import { measureTasks } from "../scale/tasks.ts";

/** Fewer say something on a machine that is too slow, or busy with other things, for all. */
const workersWanted = Number(process.env["OCTO_BENCH_WORKERS"] ?? 10_000);

/**
 * What a network of 100,000 workers costs, in parts that one machine can measure: choosing among
 * all of them, ten thousand real sockets at once, and what one task leaves behind. docs/scale.md
 * does the arithmetic.
 */
export async function scale(progress: (line: string) => void): Promise<readonly Figure[]> {
  await using stack = new AsyncDisposableStack();
  const folder = await newFolder(stack);
  return [
    ...measureChoosing(progress),
    ...(await measureTasks(folder, progress)),
    ...(await measureStorm(folder, progress, workersWanted)),
  ];
}
