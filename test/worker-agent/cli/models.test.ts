import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { existsSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { checkModels } from "../../../worker-agent/cli/check-models.ts";
import { main } from "../../../worker-agent/cli/main.ts";
import { readInputs } from "../../../worker-agent/cli/find-settings.ts";
import { readConfig } from "../../../worker-agent/config.ts";
import { createIdentity } from "../../../worker-agent/identity.ts";
import { bundledModelPath } from "../../../worker-agent/models/model-source.ts";
import { startFileServer } from "../models/file-server.ts";
import { splitGguf } from "../models/split-gguf.ts";

const tinyDigest = "73cc8e441a53b560e1e1bd13e4004787126e9b460ea46aa37e7e2cb36ef65754";

function createWorld() {
  const folder = mkdtempSync(join(tmpdir(), "octo-models-cli-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const stateDir = join(folder, "state");
  const file = join(folder, "tiny.gguf");
  copyFileSync(bundledModelPath(), file);
  const run = async (...args: string[]) => {
    const lines: string[] = [];
    const errors: string[] = [];
    const terminal = {
      write: (line: string) => lines.push(line),
      error: (line: string) => errors.push(line),
      isInteractive: false,
      paint: (_style: string, text: string) => text,
    };
    const code = await main(["models", ...args, "--state-dir", stateDir], terminal);
    return { code, lines, errors, said: [...lines, ...errors].join("\n") };
  };
  const runJson = async (...args: string[]): Promise<unknown> => {
    const { lines } = await run(...args, "--json");
    expect(lines).toHaveLength(1);
    return JSON.parse(lines[0] ?? "") as unknown;
  };
  return { folder, stateDir, file, run, runJson, modelsFolder: join(stateDir, "models") };
}

/** Another model than the bundled one, which no header tells from it. */
function tamper(path: string): void {
  const content = readFileSync(path);
  content[content.length - 100] = (content[content.length - 100] ?? 0) ^ 1;
  writeFileSync(path, content);
}

describe("octo-worker models", () => {
  test("keeps a file where it lies, lists it, and forgets it again", async () => {
    const world = createWorld();
    expect((await world.run("list")).lines[0]).toMatch(/^No models are kept/);
    const added = await world.run("add", world.file, "--as", "qwen:1b");
    expect(added).toMatchObject({ code: 0, errors: [] });
    expect(added.lines[0]).toBe("Kept qwen:1b: llama, Q8_0, 1.8 MiB");
    expect(await world.runJson("list")).toEqual({
      models: [
        {
          name: "qwen:1b",
          source: world.file,
          digest: tinyDigest,
          format: "gguf",
          architecture: "llama",
          quantization: "Q8_0",
          parameters: 1_752_800,
          context_tokens: 512,
          added_ms: expect.any(Number),
          last_used_ms: null,
          creator: null,
          bytes: 1_898_784,
          files: [{ name: "tiny.gguf", path: world.file, sha256: tinyDigest, bytes: 1_898_784 }],
        },
      ],
    });
    const listed = await world.run("list");
    expect(listed.lines[1]).toMatch(/^qwen:1b {2}Q8_0 +1\.8 MiB +512 +73cc8e441a53 +never +-$/);
    expect((await world.run("remove", "qwen:1b")).lines).toEqual([
      "Removed qwen:1b: its files stay",
    ]);
    expect(existsSync(world.file)).toBe(true);
    expect(await world.run("remove", "qwen:1b")).toMatchObject({ code: 1 });
  });

  test("a kept name is a model for start, before any file of that name", async () => {
    const world = createWorld();
    await world.run("add", world.file, "--as", "mine");
    const config = (model: string) =>
      readConfig(readInputs({ model: [model], as: [""], stateDir: [world.stateDir] }, {}));
    expect(config("mine").models).toEqual([
      { name: "mine", source: { kind: "stored", name: "mine" } },
    ]);
    expect(config("other").models[0]?.source).toMatchObject({ kind: "file" });
    const told = config("mine");
    expect(await checkModels(told)).toEqual([
      { name: "Model", found: expect.stringMatching(/^mine: llama, Q8_0, .* fit$/), remedy: null },
    ]);
    await world.run("remove", "mine");
    expect(await checkModels(told)).toEqual([
      {
        name: "Model",
        found: "mine: no model is kept as mine",
        remedy: "keep one with octo-worker models add",
      },
    ]);
  });

  test("what is fetched under two names is on the disk once, until the last is removed", async () => {
    const world = createWorld();
    await using server = await startFileServer(readFileSync(bundledModelPath()));
    await world.run("add", `${server.url}/a.gguf`);
    await world.run("add", `${server.url}/b.gguf`, "--as", "again");
    const asked = server.asked.length;
    await world.run("add", `${server.url}/c.gguf#sha256=${tinyDigest}`, "--as", "third");
    expect(server.asked).toHaveLength(asked);
    const files = () => readdirSync(world.modelsFolder).filter((name) => name.endsWith("gguf"));
    expect(files()).toEqual([expect.stringMatching(/^a-[0-9a-f]{16}\.gguf$/)]);
    expect((await world.run("remove", "a")).lines).toEqual(["Removed a: its files stay"]);
    expect(await world.runJson("verify")).toMatchObject({ ok: true });
    await world.run("remove", "third");
    expect((await world.run("remove", "again")).lines).toEqual(["Removed again: 1.8 MiB freed"]);
    expect(files()).toEqual([]);
  });

  test("a repository's best file is chosen, from the mirror that HF_ENDPOINT names", async () => {
    const world = createWorld();
    await using hub = await startFileServer(readFileSync(bundledModelPath()));
    const files = [{ type: "file", path: "m-Q8_0.gguf", size: 1_898_784 }];
    const list = Buffer.from(JSON.stringify(files));
    hub.contentByPath.set("/api/models/owner/m-GGUF/tree/main", list);
    vi.stubEnv("HF_ENDPOINT", hub.url);
    onTestFinished(() => void vi.unstubAllEnvs());
    const added = await world.run("add", "hf:owner/m-GGUF");
    expect(added).toMatchObject({ code: 0 });
    expect(added.said).toContain('"because":"the best there is, 2 MiB"');
    expect(await world.runJson("list")).toMatchObject({
      models: [{ name: "m", source: "hf:owner/m-GGUF", digest: tinyDigest }],
    });
    vi.stubEnv("HF_ENDPOINT", "http://mirror.example");
    expect(await world.run("list")).toMatchObject({
      code: 2,
      errors: ['Cannot use "http://mirror.example" from HF_ENDPOINT: it must be an https URL'],
    });
  });

  test("all parts of a split model are kept, with one identity", async () => {
    const world = createWorld();
    const first = await splitGguf(bundledModelPath(), world.folder, 2);
    await world.run("add", first, "--as", "split");
    const { models } = (await world.runJson("list")) as {
      models: { digest: string; files: { name: string }[] }[];
    };
    expect(models[0]?.files.map(({ name }) => name)).toEqual([
      "split-00001-of-00002.gguf",
      "split-00002-of-00002.gguf",
    ]);
    expect(models[0]?.digest).not.toBe(tinyDigest);
    tamper(join(world.folder, "split-00002-of-00002.gguf"));
    const { code, said } = await world.run("verify", "split");
    expect(code).toBe(1);
    expect(said).toMatch(/✗ split: the SHA-256 of .*00002-of-00002.gguf is .* and should be /);
  });

  test("verify reads everything again and says what is not what it was", async () => {
    const world = createWorld();
    await world.run("add", world.file, "--as", "mine");
    expect(await world.run("verify")).toMatchObject({ code: 0, lines: ["✓ mine"] });
    tamper(world.file);
    expect(await world.runJson("verify", "mine")).toEqual({
      ok: false,
      models: [{ name: "mine", ok: false, faults: [expect.stringContaining(tinyDigest)] }],
    });
    rmSync(world.file);
    const { code, said } = await world.run("verify");
    expect([code, said]).toEqual([1, expect.stringContaining(`✗ mine: ${world.file} is missing`)]);
    expect(await world.run("verify", "nobody")).toMatchObject({ code: 1 });
  });

  test("files of others in the index are no models, and stay", async () => {
    const world = createWorld();
    const index = join(world.modelsFolder, "index");
    mkdirSync(index, { recursive: true });
    const strange: Record<string, string> = {
      "a.model.json": "{",
      "b.model.json": JSON.stringify({ v: 2, name: "b" }),
      "notes.txt": "mine",
    };
    for (const [name, text] of Object.entries(strange)) writeFileSync(join(index, name), text);
    await world.run("add", world.file, "--as", "mine");
    expect(await world.runJson("list")).toMatchObject({ models: [{ name: "mine" }] });
    expect(readdirSync(index).toSorted()).toEqual([
      "a.model.json",
      "b.model.json",
      "mine.model.json",
      "notes.txt",
    ]);
  });

  test.for([
    [["add", "octo-tiny", "--as", "hf:x"], 2, "that is a source's name"],
    [["add", "synthetic:x"], 2, "only GGUF models are"],
    [["add", "./nowhere.gguf"], 1, "there is no such file"],
    [["add", "octo-tiny", "--license", "MIT"], 2, "models add takes no --license"],
    [["sign", "x.gguf", "--as", "x"], 2, "needs --license LICENSE"],
    [["sign", "x.gguf", "--as", "x", "--license", "MIT"], 2, "make one with octo-worker init"],
    [["sign", "x.gguf", "--as", "x", "--license", "MIT", "--release", "1"], 2, "like 1.0.0"],
    [["add", "octo-tiny", "--as", "x", "--manifest", "no.json"], 1, "there is no such file"],
  ] as const)("%j is one line", async ([args, code, said]) => {
    const world = createWorld();
    const told = await world.run(...args);
    expect([told.code, told.errors.length]).toEqual([code, 1]);
    expect(told.errors[0]).toContain(said);
  });
});

describe("a signed manifest", () => {
  async function signed() {
    const world = createWorld();
    const key = await createIdentity(world.stateDir);
    const { code } = await world.run("sign", world.file, "--as", "tiny", "--license", "MIT");
    expect(code).toBe(0);
    return { ...world, key, manifest: join(world.folder, "tiny.manifest.json") };
  }

  test("is made with the worker's key and kept beside the model it is of", async () => {
    const world = await signed();
    const added = await world.run("add", world.file, "--as", "mine", "--manifest", world.manifest);
    expect(added).toMatchObject({ code: 0 });
    expect(await world.runJson("list")).toMatchObject({
      models: [{ name: "mine", creator: world.key.publicKey }],
    });
    const beside = join(world.modelsFolder, "index", "mine.manifest.json");
    expect(readFileSync(beside, "utf8")).toBe(readFileSync(world.manifest, "utf8"));
    expect(await world.run("verify")).toMatchObject({ code: 0 });
    writeFileSync(beside, readFileSync(beside, "utf8").replace('"MIT"', '"Free"'));
    expect((await world.run("verify")).said).toContain(
      "its manifest cannot be used: its signature",
    );
  });

  test("refuses another file, of the same name and under a kept name too", async () => {
    const world = await signed();
    await world.run("add", world.file, "--as", "mine", "--manifest", world.manifest);
    tamper(world.file);
    const { code, errors } = await world.run("add", world.file, "--manifest", world.manifest);
    expect(code).toBe(1);
    expect(errors[0]).toMatch(/^Cannot keep tiny: its SHA-256 of tiny.gguf is .* manifest says/);
  });

  test("of a fetched model that differs leaves nothing behind", async () => {
    const world = await signed();
    tamper(world.file);
    await using server = await startFileServer(readFileSync(world.file));
    const url = `${server.url}/fetched.gguf`;
    const { code } = await world.run("add", url, "--manifest", world.manifest);
    expect(code).toBe(1);
    const left = readdirSync(world.modelsFolder).filter((name) => name.includes("fetched"));
    expect(left).toEqual([]);
  });

  test("comes over the network as well", async () => {
    const world = await signed();
    await using server = await startFileServer(readFileSync(world.manifest));
    const url = `${server.url}/tiny.manifest.json`;
    const added = await world.run("add", world.file, "--manifest", url);
    expect(added).toMatchObject({ code: 0 });
    server.failures = [404];
    expect((await world.run("add", world.file, "--manifest", url)).said).toContain("answered 404");
    const plain = "http://models.example/tiny.manifest.json";
    expect((await world.run("add", world.file, "--manifest", plain)).said).toContain("over https");
  });
});
