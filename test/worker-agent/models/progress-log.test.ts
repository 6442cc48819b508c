import { expect, test } from "vitest";
import { logDownloads } from "../../../worker-agent/models/progress-log.ts";

test("a download is told in lines far apart, with what is known of it", () => {
  const lines: unknown[] = [];
  const tell = logDownloads((level, message, fields) => lines.push([level, message, fields]));
  const progress = { receivedBytes: 3 * 2 ** 20, bytesPerSecond: 1, secondsLeft: 4.4 };
  tell("qwen", { ...progress, totalBytes: 12 * 2 ** 20 });
  tell("qwen", { ...progress, totalBytes: null });
  expect(lines).toEqual([
    ["info", "Downloading qwen", { mebibytes: 3, percent: 25, seconds_left: 4 }],
  ]);
});
