import { z } from "zod";
import { publicKeyPattern, signaturePattern } from "../crypto/signing.ts";
import { regions } from "../regions.ts";

/** Hub → worker, first frame: prove that you own your key, for this hub, on this socket. */
export const authChallengeSchema = z.object({
  type: z.literal("auth.challenge"),
  version: z.int().min(1),
  floor: z.int().min(1),
  hub: z.string().regex(/^[\x21-\x7e]{1,64}$/),
  network: z.enum(["local", "public"]),
  nonce: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
});
export type AuthChallenge = z.infer<typeof authChallengeSchema>;

/** Worker → hub: the proof. Its signature covers everything `provenMessage` joins. */
export const authProveSchema = z.object({
  type: z.literal("auth.prove"),
  version: z.int().min(1).max(1_000_000),
  worker: z.string().regex(publicKeyPattern),
  agent: z.string().regex(/^[\x20-\x7e]{1,64}$/),
  /** The account that earns; without one the worker earns for an account of its own. */
  account: z
    .string()
    .regex(/^acct_[0-9A-Za-z]{22,43}$/)
    .optional(),
  signature: z.string().regex(signaturePattern),
});
export type AuthProve = z.infer<typeof authProveSchema>;

/**
 * Hub → worker: you are in. `pace_ms` is how long output may be gathered before it is sent;
 * `spread_ms` over which time to spread the return if this connection is lost without a word.
 */
export const authWelcomeSchema = z.object({
  type: z.literal("auth.welcome"),
  version: z.int().min(1),
  epoch: z.int().min(1),
  region: z.enum(regions),
  account: z.string(),
  heartbeat_ms: z.int().min(100).max(600_000),
  pace_ms: z.int().min(0).max(5_000),
  spread_ms: z.int().min(0).max(600_000).optional(),
});
export type AuthWelcome = z.infer<typeof authWelcomeSchema>;

export interface Proof {
  readonly hub: string;
  /** The origin the worker dialled, so that a hub in the middle cannot pass the proof on. */
  readonly origin: string;
  readonly nonce: string;
  readonly worker: string;
  readonly version: number;
  readonly agent: string;
  readonly account: string;
}

/**
 * The text a worker signs under `octo-auth-v1`: no field can hold a line feed, so no two proofs
 * share a text.
 */
export function provenMessage(proof: Proof): string {
  return [
    proof.hub,
    proof.origin,
    proof.nonce,
    proof.worker,
    String(proof.version),
    proof.agent,
    proof.account,
  ].join("\n");
}
