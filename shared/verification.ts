import { z } from "zod";
import { canonicalJson } from "./crypto/jcs.ts";
import { publicKeyPattern } from "./crypto/signing.ts";
import type { Micros } from "./money.ts";

/*
 * How well an account is known. The first two levels are facts of its own history; the others are
 * what somebody the operator trusts has signed.
 */

export const verificationLevels = ["anonymous", "verified", "kyc", "certified"] as const;
export type VerificationLevel = (typeof verificationLevels)[number];

/** The levels that take somebody's word. */
export const attestedLevels = ["kyc", "certified"] as const;
export type AttestedLevel = (typeof attestedLevels)[number];

/** A public key whose word on one level counts. */
export interface Attester {
  readonly level: AttestedLevel;
  readonly issuer: string;
}

/** What an attester signs about an account. */
export const attestationSchema = z.strictObject({
  account_id: z.string().regex(/^acct_[0-9A-Za-z]{22,43}$/, "not an account id"),
  level: z.enum(attestedLevels),
  issuer: z.string().regex(publicKeyPattern, "not an Ed25519 public key in base64url"),
  issued_at: z.iso.datetime(),
  expires_at: z.iso.datetime(),
});
export type Attestation = z.infer<typeof attestationSchema>;

/** The text an attester signs under `octo-attestation-v1`. */
export function attestationText(attestation: Attestation): string {
  return canonicalJson(attestation);
}

export interface VerificationFacts {
  readonly createdMs: number;
  /** Tasks asked for and paid, and tasks served; counted no further than `historyTasks`. */
  readonly settledTasks: number;
  /** Credit that was paid in, over all time. */
  readonly depositedMicros: Micros;
  /** OCTO at stake now. */
  readonly stakedMicros: Micros;
  readonly attestations: readonly AttestationFact[];
}

export interface AttestationFact {
  readonly level: AttestedLevel;
  readonly issuer: string;
  readonly expiresMs: number;
  readonly revoked: boolean;
}

/** A month outlives most throw-away accounts. */
const historyMs = 30 * 86_400_000;
/** What a person asks in days and a farm of accounts has to pay for, each. */
export const historyTasks = 100;
/** Ten credits paid in say as much as a hundred tasks. */
const depositMicros = 10_000_000n;
/** The least global stake of the network: 1,000 OCTO. */
const stakeMicros = 1_000_000_000n;

/**
 * The level of an account. `attesters` are those who are trusted now: an attestation of anybody
 * else, or one that has expired or was revoked, counts for nothing.
 */
export function levelOf(
  facts: VerificationFacts,
  attesters: readonly Attester[],
  nowMs: number,
): VerificationLevel {
  const counting = facts.attestations.filter((fact) => isCounting(fact, attesters, nowMs));
  const attested = new Set(counting.map(({ level }) => level));
  if (attested.has("certified")) return "certified";
  if (attested.has("kyc")) return "kyc";
  return isVerified(facts, nowMs) ? "verified" : "anonymous";
}

/** Whether an attestation counts now. */
export function isCounting(
  { level, issuer, expiresMs, revoked }: AttestationFact,
  attesters: readonly Attester[],
  nowMs: number,
): boolean {
  return !revoked && expiresMs > nowMs && isTrusted(attesters, { level, issuer });
}

/** Whether somebody may attest a level: each key is trusted for its own. */
export function isTrusted(attesters: readonly Attester[], { level, issuer }: Attester): boolean {
  return attesters.some((trusted) => trusted.issuer === issuer && trusted.level === level);
}

function isVerified(facts: VerificationFacts, nowMs: number): boolean {
  if (facts.stakedMicros >= stakeMicros) return true;
  if (nowMs - facts.createdMs < historyMs) return false;
  return facts.settledTasks >= historyTasks || facts.depositedMicros >= depositMicros;
}
