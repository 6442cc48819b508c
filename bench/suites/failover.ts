import { Random } from "../../test/simulation/random.ts";
import { measureProcesses } from "../failover/killed-processes.ts";
import { measureThousand } from "../failover/killed-thousand.ts";
import type { Figure } from "../figure.ts";

/**
 * What becomes of answers whose worker dies in the middle: whether they are whole, how long their
 * clients wait at the switch, and whether everybody is paid. `SEED=` runs the same deaths again.
 */
export async function failover(progress: (line: string) => void): Promise<readonly Figure[]> {
  const given = Number(process.env["SEED"]);
  const seed = Number.isInteger(given) && given > 0 ? given : Date.now() % 1_000_000;
  progress(`SEED=${seed}`);
  const random = new Random(seed);
  return [
    ...(await measureThousand(random, progress)),
    ...(await measureProcesses(random, progress)),
  ];
}
