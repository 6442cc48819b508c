import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { LogFile } from "../../../worker-agent/cli/log-file.ts";

function openLog(options: { readonly bytesMax?: number; readonly filesMax?: number } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "octo-log-"));
  const failures: string[] = [];
  const path = join(folder, "logs", "worker.log");
  const log = new LogFile(path, { ...options, onFailure: (said) => failures.push(said) });
  onTestFinished(() => {
    log.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const read = (suffix = "") => readFileSync(`${path}${suffix}`, "utf8");
  return { log, path, failures, read, list: () => readdirSync(join(folder, "logs")).toSorted() };
}

test("lines are appended, also to what an earlier run wrote", () => {
  const { log, read } = openLog();
  log.write("one");
  log.close();
  log.write("two");
  expect(read()).toBe("one\ntwo\n");
});

test("a full file becomes .1, and only the youngest files are kept, with no line lost or cut", () => {
  const { log, read, list } = openLog({ bytesMax: 10, filesMax: 3 });
  for (const line of ["aaaa", "bbbb", "cccc", "dddd", "eeee", "ffff", "gggg"]) log.write(line);
  expect(list()).toEqual(["worker.log", "worker.log.1", "worker.log.2"]);
  expect([read(".2"), read(".1"), read()]).toEqual(["cccc\ndddd\n", "eeee\nffff\n", "gggg\n"]);
});

test("a line longer than a whole file is still written whole", () => {
  const { log, read } = openLog({ bytesMax: 4 });
  log.write("0123456789");
  expect(read()).toBe("0123456789\n");
});

test("a log that cannot be written says so once, and goes on when it can again", () => {
  const { log, path, failures, read } = openLog();
  // A folder where the file should be: nothing can be opened there.
  mkdirSync(path, { recursive: true });
  log.write("lost");
  log.write("lost too");
  expect(failures).toHaveLength(1);
  expect(failures[0]).toContain("Cannot write the log file");
  rmdirSync(path);
  log.write("kept");
  expect(read()).toBe("kept\n");
});
