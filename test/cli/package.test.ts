import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "octo-package-"));
const run = promisify(execFile);

/** The Node of this repository, and the machine's own where there is one. */
const ofMachine = (process.env["PATH"] ?? "")
  .split(delimiter)
  .map((at) => join(at, "node"))
  .find((path) => !path.includes("node_modules") && existsSync(path));
const runtimes = [process.execPath, ...(ofMachine === undefined ? [] : [ofMachine])];

beforeAll(async () => {
  await run("npm", ["pack", "-w", "octo-cli", "--pack-destination", folder], { cwd: root });
  const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz")) ?? "";
  await run("tar", ["-xzf", tarball], { cwd: folder });
}, 120_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("the package holds the bundle and its papers, and no source", () => {
  const inside = readdirSync(join(folder, "package")).toSorted();
  expect(inside).toEqual(["LICENSE", "README.md", "dist", "package.json"]);
  const built = readdirSync(join(folder, "package", "dist")).toSorted();
  expect(built).toEqual(["licenses.txt", "octo.js"]);
});

test.each(runtimes)("it runs without anything installed, under %s", async (runtime) => {
  const octo = join(folder, "package", "dist", "octo.js");
  expect((await run(runtime, [octo, "--version"])).stdout).toMatch(/^octo \d+\.\d+\.\d+\n$/);
  const asked = run(runtime, [octo, "balance", "--url", "http://127.0.0.1:1", "--key", "k"]);
  await expect(asked).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringMatching(
      /^octo: Cannot reach http:\/\/127\.0\.0\.1:1\/api\/v1\/account: /,
    ),
  });
});
