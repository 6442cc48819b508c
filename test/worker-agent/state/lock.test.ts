import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { claimPath, lockName, takeLock } from "../../../worker-agent/state/lock.ts";
import { scratchFolder } from "../models/scratch-folder.ts";

/** The highest process number Linux gives is below this one. */
const stale = JSON.stringify({ pid: 99_999_999, started: "1" });

/** Takes the lock of every folder it is told, and says whether it got it. */
const taker = `
  const { takeLock } = await import(${JSON.stringify(
    new URL("../../../worker-agent/state/lock.ts", import.meta.url).href,
  )});
  process.on("message", (folder) => {
    takeLock(folder).then(() => process.send(true), () => process.send(false));
  });
  process.send("ready");
`;

/** Processes that want the same lock at the same time. */
async function startTakers(count: number): Promise<ChildProcess[]> {
  const args = ["--input-type=module", "--no-warnings", "-e", taker];
  const takers = Array.from({ length: count }, () =>
    spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit", "ipc"] }),
  );
  await Promise.all(takers.map((one) => once(one, "message")));
  return takers;
}

test("of several processes that find a stale lock at once, one starts", async () => {
  await using scratch = await scratchFolder();
  const path = join(scratch.path, lockName);
  const takers = await startTakers(4);
  try {
    for (let round = 0; round < 40; round++) {
      // Cut off in the middle, or whole: it belongs to nobody.
      writeFileSync(path, round % 4 === 0 ? stale.slice(0, 9) : stale);
      const answers = takers.map((one) => once(one, "message"));
      for (const one of takers) one.send(scratch.path);
      const got = (await Promise.all(answers)).map(([isTaken]) => Boolean(isTaken));
      expect(got.filter(Boolean)).toHaveLength(1);
      expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({
        pid: takers[got.indexOf(true)]?.pid,
      });
      expect(readdirSync(scratch.path)).toEqual([lockName]);
    }
  } finally {
    const gone = takers.map((one) => once(one, "exit"));
    for (const one of takers) one.kill();
    await Promise.all(gone);
  }
});

test("a worker that died while it took over a stale lock keeps no other from starting", async () => {
  await using scratch = await scratchFolder();
  const path = join(scratch.path, lockName);
  writeFileSync(path, stale);
  writeFileSync(claimPath(path, stale), stale);
  (await takeLock(scratch.path)).release();
  expect(readdirSync(scratch.path)).toEqual([]);
});

test("a lock that another took over since is not removed by the one that had it", async () => {
  await using scratch = await scratchFolder();
  const path = join(scratch.path, lockName);
  const lock = await takeLock(scratch.path);
  writeFileSync(path, stale);
  lock.release();
  expect(readFileSync(path, "utf8")).toBe(stale);
});
