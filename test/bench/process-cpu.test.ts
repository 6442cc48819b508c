import { expect, test } from "vitest";
import { cpuUsOf } from "../../bench/process-cpu.ts";

test.runIf(process.platform === "linux")(
  "a process's time is what the runtime itself says, to a few ticks",
  async () => {
    const { user, system } = process.cpuUsage();
    const meteredUs = await cpuUsOf(process.pid);
    expect(Math.abs(meteredUs - (user + system))).toBeLessThan(100_000);
  },
);

test("a process that has ended has no time to read", async () => {
  await expect(cpuUsOf(2 ** 30)).rejects.toThrow("it has ended");
});
