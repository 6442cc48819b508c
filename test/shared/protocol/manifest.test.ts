import { describe, expect, test } from "vitest";
import { generateSigningKey } from "../../../shared/crypto/signing.ts";
import type { ModelManifest } from "../../../shared/protocol/manifest.ts";
import { readManifest, signManifest } from "../../../shared/protocol/manifest.ts";

const hash = "ab".repeat(32);
const said: Omit<ModelManifest, "v" | "creator"> = {
  name: "tiny",
  version: "1.2.3-rc.1",
  digest: hash,
  files: [{ name: "tiny.gguf", sha256: hash, bytes: 10 }],
  format: "gguf",
  quantization: "Q8_0",
  context_tokens: 512,
  architecture: "llama",
  license: "Apache-2.0",
  chat_template_sha256: null,
  min_memory_bytes: 1000,
  created_ms: 1_790_000_000_000,
};

async function createManifest() {
  const { key } = await generateSigningKey();
  return { key, signed: await signManifest(key, said) };
}

describe("a model's manifest", () => {
  test("is read by whoever gets it, in whatever order its members come", async () => {
    const { key, signed } = await createManifest();
    const { manifest, signature } = signed;
    const turned = Object.fromEntries(Object.entries(manifest).toReversed());
    const text = JSON.stringify({ signature, manifest: turned }, null, 4);
    const expected = { ...said, v: 1, creator: key.publicKey };
    expect(await readManifest(text)).toEqual({ kind: "valid", manifest: expected });
  });

  test.each(Object.keys(said).filter((member) => member !== "format"))(
    "with another %s is not its creator's",
    async (member) => {
      const { signed } = await createManifest();
      const others: Record<string, unknown> = {
        version: "1.2.4",
        digest: "cd".repeat(32),
        files: [{ name: "tiny.gguf", sha256: hash, bytes: 11 }],
        chat_template_sha256: hash,
        context_tokens: 513,
        min_memory_bytes: 1001,
        created_ms: 1,
      };
      const manifest = { ...signed.manifest, [member]: others[member] ?? "other" };
      const read = await readManifest(JSON.stringify({ ...signed, manifest }));
      expect(read).toEqual({
        kind: "invalid",
        reason: `its signature is not of its creator ${signed.manifest.creator}`,
      });
    },
  );

  test("signed by somebody else in the creator's name is refused", async () => {
    const { signed } = await createManifest();
    const other = await createManifest();
    const forged = { manifest: signed.manifest, signature: other.signed.signature };
    expect(await readManifest(JSON.stringify(forged))).toMatchObject({ kind: "invalid" });
  });

  test("signed for another purpose is refused", async () => {
    const { key, signed } = await createManifest();
    const { canonicalJson } = await import("../../../shared/crypto/jcs.ts");
    const signature = await key.sign("octo-receipt-v1", canonicalJson(signed.manifest));
    const read = await readManifest(JSON.stringify({ ...signed, signature }));
    expect(read).toMatchObject({ kind: "invalid" });
  });

  test.each([
    ["another version", { v: 2 }, "its version is 2, and only 1 is known"],
    ["a member nobody knows", { note: "x" }, "its manifest: "],
    ["no semantic version", { version: "1.2" }, "its manifest.version: "],
    ["no file", { files: [] }, "its manifest.files: "],
    ["another format", { format: "onnx" }, "its manifest.format: "],
  ])("of %s is refused", async (_name, own, reason) => {
    const { signed } = await createManifest();
    const text = JSON.stringify({ ...signed, manifest: { ...signed.manifest, ...own } });
    const read = await readManifest(text);
    expect(read.kind).toBe("invalid");
    expect(read.kind === "invalid" && read.reason).toContain(reason);
  });

  test.each(["", "[]", "null", '{"manifest":1}'])("%j is no manifest", async (text) => {
    expect(await readManifest(text)).toMatchObject({ kind: "invalid" });
  });
});
