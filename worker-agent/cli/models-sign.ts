import { writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { SigningKey } from "../../shared/crypto/signing.ts";
import { modelManifestSchema, signManifest } from "../../shared/protocol/manifest.ts";
import { identityPath, loadKey } from "../identity.ts";
import { digestFolderOf } from "../models/fetch-model.ts";
import { readGguf } from "../models/gguf.ts";
import { modelDigest } from "../models/model-digest.ts";
import { describeForManifest } from "../models/model-manifest.ts";
import type { ModelsWorld } from "./models.ts";
import { UsageError } from "./parse-command-line.ts";

/** Writes a signed manifest beside a model's file. */
export async function signModel(world: ModelsWorld, fileText: string): Promise<number> {
  const { terminal, config, signal, own } = world;
  const said = claims(own);
  const key = await keyOf(world, own["key"]);
  const path = resolve(fileText);
  const file = readGguf(path);
  const cacheFolder = digestFolderOf(world.modelsFolder);
  const identity = await modelDigest(file.paths, { cacheFolder, signal });
  const signed = await signManifest(key, {
    ...said,
    ...describeForManifest(file, identity),
    created_ms: Date.now(),
  });
  const stem = basename(path).replace(/(-00001-of-\d{5})?\.gguf$/i, "");
  const place = join(dirname(path), `${stem}.manifest.json`);
  await writeFile(place, `${JSON.stringify(signed, null, 2)}\n`);
  if (config.json) {
    terminal.write(
      JSON.stringify({ manifest: place, digest: identity.digest, creator: key.publicKey }),
    );
    return 0;
  }
  terminal.write(`Manifest  ${place}`);
  terminal.write(`SHA-256   ${identity.digest}`);
  terminal.write(`Signed by ${key.publicKey}`);
  return 0;
}

/** What only its creator knows. */
function claims(own: ModelsWorld["own"]): { name: string; version: string; license: string } {
  const { as: name, license, release: version = "1.0.0" } = own;
  if (name === undefined || license === undefined) {
    const missing = name === undefined ? "--as NAME" : "--license LICENSE";
    throw new UsageError(`octo-worker models sign needs ${missing}; see octo-worker models --help`);
  }
  const shape = modelManifestSchema.pick({ name: true, version: true, license: true });
  const parsed = shape.safeParse({ name, version, license });
  if (parsed.success) return parsed.data;
  const wrong = String(parsed.error.issues[0]?.path[0] ?? "name");
  const rules: Record<string, string> = {
    name: "--as has 1 to 128 letters, digits and . _ : / -",
    version: "--release is a version like 1.0.0 or 2.1.0-beta.1",
    license: "--license has 1 to 128 characters",
  };
  throw new UsageError(`Cannot sign this: ${rules[wrong] ?? wrong}`);
}

async function keyOf(world: ModelsWorld, given: string | undefined): Promise<SigningKey> {
  const path = given === undefined ? identityPath(world.config.stateDir) : resolve(given);
  const key = await loadKey(path);
  if (key !== null) return key;
  const remedy = given === undefined ? "make one with octo-worker init" : "name one that exists";
  throw new UsageError(`Cannot sign with ${path}: there is no such key; ${remedy}`);
}
