import { describe, expect, test } from "vitest";
import {
  attestationText,
  levelOf,
  type VerificationFacts,
  type VerificationLevel,
} from "../../shared/verification.ts";

const day = 86_400_000;
const nowMs = 1_000 * day;
const issuer = "K".repeat(43);
const attesters = [
  { level: "kyc", issuer },
  { level: "certified", issuer: "C".repeat(43) },
] as const;

const nobody: VerificationFacts = {
  createdMs: nowMs,
  settledTasks: 0,
  depositedMicros: 0n,
  stakedMicros: 0n,
  attestations: [],
};
const old = { createdMs: nowMs - 30 * day };
const kyc = { level: "kyc", issuer, expiresMs: nowMs + 1, revoked: false } as const;
const certified = { ...kyc, level: "certified", issuer: "C".repeat(43) } as const;

const cases: [string, Partial<VerificationFacts>, VerificationLevel][] = [
  ["a new account", {}, "anonymous"],
  ["an old account that did nothing", old, "anonymous"],
  ["an old account of 99 tasks", { ...old, settledTasks: 99 }, "anonymous"],
  ["an old account of 100 tasks", { ...old, settledTasks: 100 }, "verified"],
  ["a new account of 100 tasks", { settledTasks: 100 }, "anonymous"],
  [
    "one millisecond under thirty days",
    { createdMs: nowMs - 30 * day + 1, settledTasks: 100 },
    "anonymous",
  ],
  ["an old account that paid in", { ...old, depositedMicros: 10_000_000n }, "verified"],
  ["a micro less", { ...old, depositedMicros: 9_999_999n }, "anonymous"],
  ["a stake", { stakedMicros: 1_000_000_000n }, "verified"],
  ["a micro less at stake", { stakedMicros: 999_999_999n }, "anonymous"],
  ["an attested identity", { attestations: [kyc] }, "kyc"],
  ["a certificate", { attestations: [certified] }, "certified"],
  ["both", { attestations: [kyc, certified] }, "certified"],
  ["an attestation that just ended", { attestations: [{ ...kyc, expiresMs: nowMs }] }, "anonymous"],
  ["a revoked one", { attestations: [{ ...kyc, revoked: true }] }, "anonymous"],
  ["one of a stranger", { attestations: [{ ...kyc, issuer: "S".repeat(43) }] }, "anonymous"],
  [
    "a certificate of who may attest identities only",
    { attestations: [{ ...certified, issuer }] },
    "anonymous",
  ],
  [
    "a lapsed certificate beside an attested identity",
    { attestations: [{ ...certified, expiresMs: nowMs - 1 }, kyc] },
    "kyc",
  ],
  [
    "a lapsed one beside a stake",
    { stakedMicros: 1_000_000_000n, attestations: [{ ...kyc, revoked: true }] },
    "verified",
  ],
];

describe("the level of an account", () => {
  test.each(cases)("%s", (_, facts, level) => {
    expect(levelOf({ ...nobody, ...facts }, attesters, nowMs)).toBe(level);
  });
});

test("what an attester signs is one text, whatever the order of its fields", () => {
  const fields = {
    level: "kyc",
    issuer,
    issued_at: "2026-11-05T09:30:00Z",
    expires_at: "2027-11-05T09:30:00Z",
    account_id: "acct_0000000000000000000000",
  } as const;
  expect(attestationText(fields)).toBe(
    '{"account_id":"acct_0000000000000000000000","expires_at":"2027-11-05T09:30:00Z",' +
      `"issued_at":"2026-11-05T09:30:00Z","issuer":"${issuer}","level":"kyc"}`,
  );
});
