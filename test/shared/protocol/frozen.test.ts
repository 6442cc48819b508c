import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { canonicalJson, type JsonValue } from "../../../shared/crypto/jcs.ts";
import { sha256Hex } from "../../../shared/crypto/bytes.ts";
import { downFrameSchema, upFrameSchema } from "../../../shared/protocol/frames.ts";
import { protocolFloor, protocolVersion } from "../../../shared/protocol/limits.ts";

/**
 * The hash of every version ever released. An edge of version N also serves workers of N−1, so a
 * released version stays as it is, in its file: what changes is a new version in a new file.
 */
const hashByVersion: { readonly [version: number]: string } = {
  1: "6a1877d72b67e4de24e05d4d23875d14ef391d47284b748306f7eec81be3192b",
  2: "7c60cce1f2e0ba3bddba6ab6c60af3990181755ae73968f1200e686b158b354f",
};

function pathOf(version: number | string): string {
  return fileURLToPath(new URL(`./version-${version}.json`, import.meta.url));
}

/** The JSON Schemas of both unions of frames. */
function spoken(): JsonValue {
  const up = z.toJSONSchema(upFrameSchema, { io: "input" });
  const down = z.toJSONSchema(downFrameSchema, { io: "input" });
  return JSON.parse(JSON.stringify({ up, down })) as JsonValue;
}

describe("the protocol", () => {
  test("what is spoken is what its version says", async () => {
    const how =
      "The frames have changed. Raise protocolVersion in shared/protocol/limits.ts, write the " +
      "new version's file with `npx vitest run -u test/shared/protocol/frozen.test.ts`, and add " +
      "its hash here; the files of released versions stay as they are";
    const text = `${JSON.stringify(spoken(), null, 2)}\n`;
    await expect(text).toMatchFileSnapshot(pathOf(protocolVersion), how);
  });

  test.each(Object.entries(hashByVersion))("version %s is frozen", async (version, hash) => {
    const frozen = JSON.parse(await readFile(pathOf(version), "utf8")) as JsonValue;
    const how = `Version ${version} is released: its text may not change`;
    expect(await sha256Hex(canonicalJson(frozen)), how).toBe(hash);
  });

  test("every version from the floor on has its frozen text", () => {
    expect(protocolFloor).toBeLessThanOrEqual(protocolVersion);
    for (let version = protocolFloor; version <= protocolVersion; version++) {
      expect(Object.keys(hashByVersion)).toContain(String(version));
    }
  });
});
