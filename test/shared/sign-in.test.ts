import { expect, test } from "vitest";
import { parseSealedText, sealedText, signInText } from "../../shared/sign-in.ts";

const challenge = {
  network: "public",
  origin: "https://edge.example:8443",
  publicKey: "K".repeat(43),
  nonce: "n".repeat(22),
  expiresMs: Date.parse("2026-11-28T20:00:00.000Z"),
};
const seal = "s".repeat(43);
const text = sealedText(signInText(challenge), seal);

test("a challenge reads as people read, and is read back as it was", () => {
  expect(text).toBe(
    "CipherOcto sign-in, version 1\nNetwork: public\nOrigin: https://edge.example:8443\n" +
      `Key: ${challenge.publicKey}\nNonce: ${challenge.nonce}\n` +
      `Expires: 2026-11-28T20:00:00.000Z\nSeal: ${seal}`,
  );
  expect(parseSealedText(text)).toEqual({ challenge, seal });
});

test.each([
  ["nothing", ""],
  ["no seal", signInText(challenge)],
  ["another version", text.replace("version 1", "version 2")],
  ["a line more", `${text}\nNetwork: other`],
  ["a line feed more", `${text}\n`],
  ["a line before", `\n${text}`],
  ["other line ends", text.replaceAll("\n", "\r\n")],
  ["an origin with a space", text.replace("edge.example", "edge example")],
  ["an origin of another kind", text.replace("https:", "ftp:")],
  ["a time that is none", text.replace("2026-11-28T20", "2026-13-48T20")],
  ["a short key", text.replace("KK\n", "K\n")],
])("%s is no challenge", (_, other) => {
  expect(other).not.toBe(text);
  expect(parseSealedText(other)).toBeNull();
});
