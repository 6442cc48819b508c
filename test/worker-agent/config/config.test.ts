import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { Config } from "../../../worker-agent/config.ts";
import { readConfig } from "../../../worker-agent/config.ts";
import type { Inputs } from "../../../worker-agent/cli/find-settings.ts";
import { readInputs } from "../../../worker-agent/cli/find-settings.ts";
import { coresInCpuInfo, defaultThreads } from "../../../worker-agent/hardware/hardware.ts";

interface Told {
  readonly flags?: Inputs["flags"];
  readonly env?: Inputs["env"];
  readonly file?: unknown;
}

function configOf({ flags = {}, env = {}, file }: Told): Config {
  const home = mkdtempSync(join(tmpdir(), "octo-home-"));
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
  const folder = join(home, ".octo-worker");
  mkdirSync(folder);
  if (file !== undefined) {
    const text = typeof file === "string" ? file : JSON.stringify(file);
    writeFileSync(join(folder, "config.json"), text);
  }
  return readConfig(readInputs(flags, env, home));
}

test("the hub's address is refused where it holds a password, which is not repeated", () => {
  const read = () => configOf({ env: { HF_ENDPOINT: "https://bob:s3cret@mirror.example" } });
  expect(read).toThrow(
    'Cannot use "https://…@mirror.example/" from HF_ENDPOINT: it holds a password',
  );
});

test("an address that cannot be read is one sentence that names where it is from", () => {
  const read = () => configOf({ flags: { model: ["https://h.example/a%zz.gguf"] } });
  expect(read).toThrow(
    expect.objectContaining({
      name: "ConfigError",
      message: expect.stringMatching(/^Cannot use --model .* \(from --model\)$/) as string,
    }),
  );
});

test("an HF_TOKEN that is set to nothing is no token", () => {
  expect(configOf({ env: { HF_TOKEN: "" } }).hubToken).toBeNull();
  expect(configOf({ env: { HF_TOKEN: "hf_1" } }).hubToken).toBe("hf_1");
});

test("nothing told is a worker of the bundled model for a network on this machine", () => {
  const config = configOf({});
  expect(config).toMatchObject({
    edge: "http://localhost:8787",
    models: [{ name: "octo-tiny", source: { kind: "bundled" } }],
    price: { inputMicrosPerMillion: 20_000, outputMicrosPerMillion: 60_000 },
    slots: 4,
    contextTokensMax: null,
    threads: defaultThreads(),
    classCeiling: "public",
    account: null,
    drainMs: 30_000,
    json: false,
  });
  expect(config.stateDir).toMatch(/\.octo-worker$/);
});

test("a flag wins over the environment, that over the file, and that over the default", () => {
  const file = { slots: 3 };
  const env = { OCTO_SLOTS: "2" };
  const flags = { slots: ["1"] };
  expect(configOf({ file }).slots).toBe(3);
  expect(configOf({ file, env }).slots).toBe(2);
  expect(configOf({ file, env, flags }).slots).toBe(1);
});

test("slots are measured unless they are given, and models as often as is wanted", () => {
  expect(configOf({})).toMatchObject({ areSlotsMeasured: true, slots: 4, benchmark: "auto" });
  const told = configOf({ flags: { slots: ["3"], benchmark: ["never"] } });
  expect(told).toMatchObject({ areSlotsMeasured: false, slots: 3, benchmark: "never" });
  expect(configOf({ file: { slots: "auto" } }).areSlotsMeasured).toBe(true);
  const often = { flags: { benchmark: ["often"] } };
  expect(() => configOf(often)).toThrow("one of auto, always, never");
});

test("models take the names they were given with, else their file's", () => {
  const flags = { model: ["./a/llama-3.gguf", "hf:o/r/q.gguf"], as: ["", "qwen"] };
  expect(configOf({ flags }).models.map(({ name }) => name)).toEqual(["llama-3", "qwen"]);
  const env = { OCTO_MODEL: "octo-tiny, synthetic:fast", OCTO_AS: "tiny" };
  expect(configOf({ env }).models.map(({ name }) => name)).toEqual(["tiny", "fast"]);
  const file = { model: ["octo-tiny"], as: ["tiny"] };
  expect(configOf({ file }).models.map(({ name }) => name)).toEqual(["tiny"]);
  const mixed = configOf({ file, flags: { model: ["./b.gguf"], as: [""] } });
  expect(mixed.models.map(({ name }) => name)).toEqual(["b"]);
});

test.for([
  ["0.05", 50_000],
  ["1", 1_000_000],
  ["0.000001", 1],
  ["50000micros", 50_000],
  ["0", 0],
] as const)("a price of %s is %i micros", ([text, micros]) => {
  const config = configOf({ flags: { priceOutput: [text] } });
  expect(config.price.outputMicrosPerMillion).toBe(micros);
});

test.for([
  ["http://localhost:8787/", "http://localhost:8787"],
  ["http://127.0.0.1:1", "http://127.0.0.1:1"],
  ["http://[::1]:9", "http://[::1]:9"],
  ["https://edge.example/base/", "https://edge.example/base"],
] as const)("the edge %s is taken", ([text, edge]) => {
  expect(configOf({ flags: { edge: [text] } }).edge).toBe(edge);
});

test("an http edge elsewhere needs --insecure", () => {
  expect(() => configOf({ env: { OCTO_EDGE: "http://edge.example" } })).toThrow("--insecure");
  const flags = { insecure: ["true"], edge: ["http://edge.example"] };
  expect(configOf({ flags }).edge).toBe("http://edge.example");
});

test.for([
  ["a flag", { flags: { slots: ["many"] } }, 'Cannot use "many" from --slots: it must be a whole'],
  ["a variable", { env: { OCTO_THREADS: "0" } }, 'Cannot use "0" from OCTO_THREADS'],
  ["the file", { file: { drain_s: -1 } }, 'Cannot use "-1" from "drain_s" in '],
  ["an edge", { flags: { edge: ["ftp://x"] } }, 'Cannot use "ftp://x" from --edge: it must be an'],
  ["a password in the edge", { flags: { edge: ["https://a:b@c.d"] } }, "from --edge"],
  ["an account", { flags: { account: ["me"] } }, "account id"],
  ["a price", { flags: { priceInput: ["1.2345678"] } }, "at most six decimals"],
  ["a huge price", { flags: { priceInput: ["1001"] } }, "at most 1000 credits"],
  ["a class", { flags: { class: ["secret"] } }, "one of public, shared, confidential, private"],
  ["a model", { flags: { model: ["ftp://x"] } }, "(from --model)"],
  ["a name", { flags: { model: ["octo-tiny"], as: ["a b"] } }, "a model's name has"],
  ["two models of one name", { flags: { model: ["octo-tiny", "octo-tiny"] } }, "with --as"],
  ["the file's form", { file: "[" }, "it is not JSON"],
  ["a list of settings", { file: [] }, "one JSON object"],
  ["an unknown setting", { file: { slot: 1 } }, 'it has no setting "slot"'],
  ["a draft", { flags: { draft: ["ftp://x"] } }, "(from --draft)"],
  [
    "a draft of several models",
    { flags: { draft: ["octo-tiny"], model: ["octo-tiny", "a.gguf"], as: ["", ""] } },
    "Cannot use --draft for 2 models (from --draft): name one --model",
  ],
  ["a list for one value", { file: { slots: [1] } }, "it takes one value"],
] as const)("%s that is wrong names its source and the accepted form", ([, told, said]) => {
  expect(() => configOf(told as Told)).toThrow(said);
});

test("physical cores are told from threads", () => {
  const cpu = (id: number, core: number) =>
    `processor: x\nphysical id\t: ${id}\ncore id\t\t: ${core}\n`;
  const text = cpu(0, 0) + cpu(0, 1) + cpu(0, 0) + cpu(0, 1) + cpu(1, 0);
  expect(coresInCpuInfo(text)).toBe(3);
  expect(coresInCpuInfo("processor : 0\n")).toBeNull();
  expect([defaultThreads(1), defaultThreads(8)]).toEqual([1, 7]);
});
