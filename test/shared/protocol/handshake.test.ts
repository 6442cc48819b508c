import { describe, expect, test } from "vitest";
import {
  authChallengeSchema,
  authProveSchema,
  type Proof,
  provenMessage,
} from "../../../shared/protocol/handshake.ts";
import { downFrames, upFrames } from "../../helpers/frames.ts";

const proof: Proof = {
  hub: "weur:0",
  origin: "https://edge.test",
  nonce: "A".repeat(43),
  worker: "B".repeat(43),
  version: 1,
  agent: "octo-worker/0.1.0",
  account: "",
};

describe("what a worker signs to prove itself", () => {
  test("the text is the same for ever", () => {
    expect(provenMessage(proof)).toBe(
      `weur:0\nhttps://edge.test\n${"A".repeat(43)}\n${"B".repeat(43)}\n1\nocto-worker/0.1.0\n`,
    );
  });

  test("every field changes it", () => {
    const others: Proof[] = [
      { ...proof, hub: "weur:1" },
      { ...proof, origin: "https://evil.test" },
      { ...proof, nonce: "C".repeat(43) },
      { ...proof, worker: "C".repeat(43) },
      { ...proof, version: 2 },
      { ...proof, agent: "octo-worker/0.1.1" },
      { ...proof, account: "acct_0123456789ABCDEFGHIJkl" },
    ];
    const texts = [proof, ...others].map(provenMessage);
    expect(new Set(texts).size).toBe(texts.length);
  });

  test("no field that a peer chooses can hold a line feed", () => {
    const challenge = downFrames["auth.challenge"];
    for (const wrong of [
      { hub: "weur:0\nhttps://edge.test" },
      { hub: "weur 0" },
      { nonce: "\n" },
    ]) {
      expect(authChallengeSchema.safeParse({ ...challenge, ...wrong }).success).toBe(false);
    }
    const prove = upFrames["auth.prove"];
    for (const wrong of [{ agent: "a\nb" }, { account: "acct_\n" }, { worker: "\n" }]) {
      expect(authProveSchema.safeParse({ ...prove, ...wrong }).success).toBe(false);
    }
  });
});
