import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { newSecrets } from "../../dev/secrets.ts";
import { State } from "../../dev/state.ts";

test("a folder of before there was a pepper gets one, once, and keeps its other secrets", async () => {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "octo-state-"));
  stack.defer(() => rm(folder, { recursive: true }));
  const { keyPepper: _, ...before } = await newSecrets("dev");
  const path = join(folder, "secrets.json");
  await writeFile(path, JSON.stringify(before));
  const secrets = await new State(folder).secrets();
  expect(secrets).toEqual({ ...before, keyPepper: expect.stringMatching(/^[\w-]{43}$/) });
  expect(JSON.parse(await readFile(path, "utf8"))).toEqual(secrets);
  expect(await new State(folder).secrets()).toEqual(secrets);
});
