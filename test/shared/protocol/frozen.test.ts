import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { canonicalJson, type JsonValue } from "../../../shared/crypto/jcs.ts";
import { sha256Hex } from "../../../shared/crypto/bytes.ts";
import { downFrameSchema, upFrameSchema } from "../../../shared/protocol/frames.ts";
import { protocolFloor, protocolVersion } from "../../../shared/protocol/limits.ts";

/**
 * The text of every version ever released. An edge of version N also serves workers of N−1, so a
 * released version stays as it is: what changes is a new version in a new file.
 */
const hashByVersion: { readonly [version: number]: string } = {
  1: "893bec704ffcf9c2501a398d9fc549a63e2d12cacb907d9afe1f7ea2ada448c5",
};

function frozenUrl(version: number): URL {
  return new URL(`./version-${version}.json`, import.meta.url);
}

function currentText(): string {
  const schemas = {
    up: z.toJSONSchema(upFrameSchema, { io: "input" }),
    down: z.toJSONSchema(downFrameSchema, { io: "input" }),
  };
  return canonicalJson(schemas as unknown as JsonValue);
}

async function frozenText(version: number): Promise<string> {
  return canonicalJson(JSON.parse(await readFile(frozenUrl(version), "utf8")) as JsonValue);
}

describe("the protocol", () => {
  test("what is spoken is what its version says", async () => {
    const how =
      "The frames have changed: raise protocolVersion in shared/protocol/limits.ts, keep the " +
      "old version's file, and write the new one from z.toJSONSchema of both unions";
    expect(currentText(), how).toBe(await frozenText(protocolVersion));
  });

  test.each(Object.entries(hashByVersion))("version %s is frozen", async (version, hash) => {
    const how = `Version ${version} is released: its text may not change`;
    expect(await sha256Hex(await frozenText(Number(version))), how).toBe(hash);
  });

  test("every version from the floor on has its frozen text", () => {
    expect(protocolFloor).toBeLessThanOrEqual(protocolVersion);
    for (let version = protocolFloor; version <= protocolVersion; version++) {
      expect(Object.keys(hashByVersion)).toContain(String(version));
    }
  });
});
