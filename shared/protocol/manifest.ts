import { z } from "zod";
import type { JsonValue } from "../crypto/jcs.ts";
import { canonicalJson } from "../crypto/jcs.ts";
import type { SigningKey } from "../crypto/signing.ts";
import { publicKeyPattern, signaturePattern, verifySignature } from "../crypto/signing.ts";

/** The version of manifests that is written and read. */
const manifestVersion = 1;

const digestSchema = z.string().regex(/^[0-9a-f]{64}$/);

/** Semantic Versioning 2.0.0, without build metadata, which has no order. */
const semver = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$/;

/** What its creator says a model is. */
export const modelManifestSchema = z.strictObject({
  v: z.literal(manifestVersion),
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$/),
  version: z.string().max(64).regex(semver),
  /** The model's identity: of one file its SHA-256, of several that of their digests by name. */
  digest: digestSchema,
  files: z
    .array(
      z.strictObject({
        name: z.string().min(1).max(255),
        sha256: digestSchema,
        bytes: z.int().min(1),
      }),
    )
    .min(1)
    .max(1000),
  format: z.literal("gguf"),
  quantization: z.string().min(1).max(32),
  context_tokens: z.int().min(1),
  architecture: z.string().min(1).max(64),
  /** An SPDX expression, or the name of the licence. */
  license: z.string().min(1).max(128),
  /** Of the template in the model's files; null where there is none. */
  chat_template_sha256: digestSchema.nullable(),
  /** For one slot of a context of 4,096 tokens, or of the model's where that is shorter. */
  min_memory_bytes: z.int().min(1),
  creator: z.string().regex(publicKeyPattern),
  created_ms: z.int().min(0),
});
export type ModelManifest = z.infer<typeof modelManifestSchema>;

const signedManifestSchema = z.strictObject({
  manifest: modelManifestSchema,
  /** Of the creator, over the manifest's canonical JSON (RFC 8785). */
  signature: z.string().regex(signaturePattern),
});
export type SignedManifest = z.infer<typeof signedManifestSchema>;

export type ReadManifest =
  | { readonly kind: "valid"; readonly manifest: ModelManifest }
  /** `reason` completes a sentence that says what cannot be used. */
  | { readonly kind: "invalid"; readonly reason: string };

/** Signs a manifest whose creator is the key's owner. */
export async function signManifest(
  key: SigningKey,
  manifest: Omit<ModelManifest, "v" | "creator">,
): Promise<SignedManifest> {
  const whole = { v: manifestVersion, ...manifest, creator: key.publicKey } as const;
  const signature = await key.sign("octo-manifest-v1", canonicalJson(whole));
  return { manifest: whole, signature };
}

/** Reads a manifest of any origin and checks its creator's signature. Never throws. */
export async function readManifest(text: string): Promise<ReadManifest> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { kind: "invalid", reason: "it is not JSON" };
  }
  const version = z.object({ manifest: z.object({ v: z.number() }) }).safeParse(value);
  if (version.success && version.data.manifest.v !== manifestVersion) {
    const { v } = version.data.manifest;
    return { kind: "invalid", reason: `its version is ${v}, and only ${manifestVersion} is known` };
  }
  const parsed = signedManifestSchema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const place = issue?.path.join(".") ?? "";
    const what = issue?.message ?? "it has another form";
    return { kind: "invalid", reason: place === "" ? what : `its ${place}: ${what}` };
  }
  const { manifest, signature } = parsed.data;
  const isOurs = await verifySignature({
    publicKey: manifest.creator,
    domain: "octo-manifest-v1",
    message: canonicalJson(manifest satisfies JsonValue),
    signature,
  });
  if (isOurs) return { kind: "valid", manifest };
  return { kind: "invalid", reason: `its signature is not of its creator ${manifest.creator}` };
}
