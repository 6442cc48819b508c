import { expect, test } from "vitest";
import { ProgressBar, progressLine } from "../../../worker-agent/cli/progress-bar.ts";
import { ProgressMeter } from "../../../worker-agent/models/download-progress.ts";
import type { DownloadProgress } from "../../../worker-agent/models/download-progress.ts";

const MiB = 2 ** 20;
const half: DownloadProgress = {
  receivedBytes: 512 * MiB,
  totalBytes: 1024 * MiB,
  bytesPerSecond: 8 * MiB,
  secondsLeft: 64,
};

test("a line has the share, the bytes, the rate and the time left, and never more columns", () => {
  expect(progressLine("qwen", half, 200)).toBe(
    "qwen  ████████░░░░░░░░   50 %  512.0 MiB of 1.0 GiB  8.0 MiB/s  1 min 4 s left",
  );
  expect(progressLine("qwen", half, 20)).toBe("qwen  ████████░░░░░░");
  const unknown = { ...half, totalBytes: null, secondsLeft: null };
  expect(progressLine("qwen", unknown, 200)).toBe("qwen  512.0 MiB  8.0 MiB/s");
});

test("it is drawn over itself, and leaves an empty line", () => {
  const written: string[] = [];
  const bar = new ProgressBar({ columns: 80, write: (text) => written.push(text) });
  bar.clear();
  expect(written).toEqual([]);
  bar.draw("a", half);
  bar.draw("a", half);
  bar.clear();
  expect(written.join("")).not.toContain("\n");
  expect(written.every((text) => text.startsWith("\r") && text.endsWith("\u001b[K"))).toBe(true);
  expect(written.at(-1)).toBe("\r\u001b[K");
});

test("the rate is of the last ten seconds, without what was there before", () => {
  let ms = 0;
  const told: DownloadProgress[] = [];
  const meter = new ProgressMeter(
    (progress) => told.push(progress),
    () => ms,
  );
  meter.start(1000);
  meter.update(1000, 10_000, false);
  ms = 100;
  meter.update(1100, 10_000, false);
  expect(told).toHaveLength(1);
  ms = 1000;
  meter.update(2000, 10_000, false);
  expect(told[1]).toEqual({
    receivedBytes: 2000,
    totalBytes: 10_000,
    bytesPerSecond: 1000,
    secondsLeft: 8,
  });
  for (ms = 2000; ms <= 30_000; ms += 1000) meter.update(2000, 10_000, false);
  expect(told.at(-1)).toMatchObject({ bytesPerSecond: 0, secondsLeft: null });
  meter.update(10_000, 10_000, true);
  expect(told.at(-1)).toMatchObject({ receivedBytes: 10_000, secondsLeft: 0 });
});
