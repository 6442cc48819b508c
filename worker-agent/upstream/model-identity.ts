import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import type { JsonValue } from "../../shared/crypto/jcs.ts";
import { canonicalJson } from "../../shared/crypto/jcs.ts";
import type { DigestOptions } from "../models/digest.ts";
import type { GgufFile } from "../models/gguf.ts";
import { readGguf } from "../models/gguf.ts";
import { modelDigest } from "../models/model-digest.ts";
import { ModelError } from "../models/model-error.ts";
import type { ModelFacts, ModelFile } from "./describe.ts";
import type { UpstreamKind } from "./dialects.ts";

/** The state of a model's files on the disk: another one means another content. */
export interface FileMark {
  readonly paths: readonly string[];
  readonly state: string;
}

/** What a model is, as far as this worker could read it. */
export interface ModelIdentity {
  readonly digest: string;
  readonly identity: "content" | "declared";
  /** Where the content was read. */
  readonly read: { readonly gguf: GgufFile; readonly file: FileMark } | null;
}

/**
 * Identifies a server's model: by the content of its file where that is on this machine, is what
 * the server claims and has the template the server uses, together with what the server adds; else
 * by what the server says of it, which is called so.
 */
export async function identifyModel(
  kind: UpstreamKind,
  name: string,
  facts: ModelFacts,
  options: DigestOptions,
): Promise<ModelIdentity> {
  const found = facts.file === null ? null : await readContent(facts.file, facts, options);
  if (found !== null) return found;
  const { quantization, parameterCount, architecture, mark } = facts;
  const said = { engine: kind, name, quantization, parameterCount, architecture, mark };
  return { digest: sha256(said), identity: "declared", read: null };
}

async function readContent(
  { path, sha256: claimed, chatTemplate, settings }: ModelFile,
  { parameterCount }: ModelFacts,
  options: DigestOptions,
): Promise<ModelIdentity | null> {
  const gguf = ggufAt(path);
  const state = gguf === null ? null : await filesState(gguf.paths);
  if (gguf === null || state === null) return null;
  // The path may mean another file here than where the server runs, say in a container.
  if (parameterCount !== null && parameterCount !== gguf.parameterCount) return null;
  // A template of the provider's own makes another model of the same weights.
  const isOwnTemplate = chatTemplate === null || gguf.chatTemplate === null;
  if (!isOwnTemplate && chatTemplate.trim() !== gguf.chatTemplate?.trim()) return null;
  const { digest: own } = await modelDigest(gguf.paths, options);
  if (claimed !== null && claimed !== own) return null;
  // Whoever serves the plain file, or the same weights with other words before them, serves another
  // model.
  const digest = settings === null ? own : sha256({ model: own, settings });
  return { digest, identity: "content", read: { gguf, file: { paths: gguf.paths, state } } };
}

function ggufAt(path: string): GgufFile | null {
  try {
    return readGguf(path);
  } catch (error) {
    // Not here, not readable for this user, or no GGUF: then nothing of it was read.
    if (error instanceof ModelError) return null;
    throw error;
  }
}

/** Whether a file is another one than when the digest was taken. */
export async function hasFileChanged({ paths, state }: FileMark): Promise<boolean> {
  return (await filesState(paths)) !== state;
}

async function filesState(paths: readonly string[]): Promise<string | null> {
  try {
    const stats = await Promise.all(paths.map((path) => stat(path)));
    return stats.map(({ dev, ino, size, mtimeMs }) => [dev, ino, size, mtimeMs].join("-")).join();
  } catch {
    // It is gone, which is a change.
    return null;
  }
}

function sha256(value: JsonValue): string {
  return createHash("sha256").update(canonicalJson(value)).digest("hex");
}
