import { z } from "zod";
import { sha256Hex } from "../../../shared/crypto/bytes.ts";
import { signaturePattern, verifySignature } from "../../../shared/crypto/signing.ts";
import { OctoError } from "../../../shared/errors.ts";
import {
  type Attestation,
  attestationSchema,
  attestationText,
  attestedLevels,
  isCounting,
  isTrusted,
} from "../../../shared/verification.ts";
import type { Context } from "../../context.ts";
import { databaseOf } from "../../database.ts";
import {
  findAttestation,
  listAttestations,
  recordAttestation,
  revokeAttestation,
  type StoredAttestation,
} from "../../db/people/attestations.ts";
import {
  accountIdField,
  pageQuery,
  pageSchema,
  pageToJson,
  personIdField,
  timeField,
  timeToJson,
} from "../fields.ts";
import { knownAccount, noSuchAccount } from "../known-account.ts";
import { defineRoute, type Route } from "../route.ts";

const path = "/api/v1/attestations";

/** Clocks of attesters are about right. */
const skewMs = 5 * 60_000;
/** Nobody's papers say more than what was true two years ago. */
const spanMsMax = 2 * 366 * 86_400_000;

const attestationIdField = z.string().regex(/^att_[0-9a-f]{64}$/, "not an attestation id");

const attestationAnswerSchema = z
  .object({
    object: z.literal("attestation"),
    id: attestationIdField,
    account_id: accountIdField,
    level: z.enum(attestedLevels),
    issuer: personIdField.meta({ description: "The Ed25519 public key that signed it" }),
    counts: z.boolean().meta({ description: "Whether it makes the account's level now" }),
    recorded_at: timeField,
    expires_at: timeField,
    revoked_at: timeField.nullable(),
  })
  .meta({ id: "Attestation", description: "What somebody has signed about an account." });

const newAttestationSchema = attestationSchema
  .extend({ signature: z.string().regex(signaturePattern, "not an Ed25519 signature") })
  .meta({
    id: "NewAttestation",
    examples: [
      {
        account_id: "acct_0000000000000000000000",
        level: "kyc",
        issuer: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        issued_at: "2026-11-05T09:30:00Z",
        expires_at: "2027-11-05T09:30:00Z",
        signature: "A".repeat(86),
      },
    ],
  });

/** What attesters say about accounts. */
export const attestationRoutes: readonly Route[] = [
  defineRoute({
    name: "recordAttestation",
    method: "post",
    path,
    summary: "Hand in what an attester has signed about your account",
    about:
      "The signature is over the canonical JSON (RFC 8785) of the other fields under " +
      "octo-attestation-v1: the tag, a zero byte, the text. Operators may hand in any account's.",
    access: ["account:write", "network:operate"],
    body: newAttestationSchema,
    status: 201,
    answer: attestationAnswerSchema,
    errors: ["not_found"],
    async handle({ ctx, caller, body: { signature, ...attestation } }) {
      const { account_id: accountId } = attestation;
      const isOwn = accountId === caller.accountId && caller.permissions.has("account:write");
      if (!isOwn && !caller.permissions.has("network:operate")) throw noSuchAccount(accountId);
      await knownAccount(ctx, accountId);
      await assertAttested(ctx, attestation, signature);
      return record(ctx, attestation, signature);
    },
  }),
  defineRoute({
    name: "listAttestations",
    method: "get",
    path,
    summary: "List what is attested of your account, newest first",
    access: "account:read",
    query: z.strictObject(pageQuery),
    answer: pageSchema(attestationAnswerSchema).meta({ id: "AttestationPage" }),
    async handle({ ctx, caller: { accountId }, query }) {
      await using db = databaseOf(ctx.env);
      const page = await listAttestations(db, { accountId, ...query });
      return pageToJson(page, (row) => attestationToJson(ctx, row));
    },
  }),
  defineRoute({
    name: "revokeAttestation",
    method: "delete",
    path: `${path}/:id`,
    summary: "Revoke an attestation",
    about: "It counts no more, also where it is handed in again.",
    access: "network:operate",
    params: z.strictObject({ id: attestationIdField }),
    answer: z
      .object({
        object: z.literal("attestation"),
        id: attestationIdField,
        revoked: z.literal(true),
      })
      .meta({ id: "RevokedAttestation" }),
    errors: ["not_found"],
    async handle({ ctx, params: { id } }) {
      await using db = databaseOf(ctx.env);
      if (!(await revokeAttestation(db, { id, atMs: ctx.startedMs }))) {
        throw new OctoError("not_found", `There is no attestation ${id}`);
      }
      return { object: "attestation", id, revoked: true };
    },
  }),
];

/** Refuses what no trusted attester has signed, and what is not of now. */
async function assertAttested(
  ctx: Context,
  attestation: Attestation,
  signature: string,
): Promise<void> {
  const { level, issuer } = attestation;
  if (!isTrusted(ctx.config.attesters, { level, issuer })) {
    throw wrong("issuer", `${issuer} is not trusted to attest ${level}`);
  }
  const issuedMs = Date.parse(attestation.issued_at);
  const expiresMs = Date.parse(attestation.expires_at);
  if (issuedMs > ctx.startedMs + skewMs) throw wrong("issued_at", "it is in the future");
  if (expiresMs <= ctx.startedMs) throw wrong("expires_at", "it has passed");
  if (expiresMs - issuedMs > spanMsMax) throw wrong("expires_at", "over two years after its issue");
  const message = attestationText(attestation);
  const isSigned = await verifySignature({
    publicKey: issuer,
    domain: "octo-attestation-v1",
    message,
    signature,
  });
  if (!isSigned) throw wrong("signature", "it is not the issuer's, of these fields");
}

function wrong(param: string, reason: string): OctoError {
  return new OctoError("invalid_request", `${param}: ${reason}`, { param });
}

/** Its id is of what was signed, so that the same is one attestation however often it comes. */
async function record(
  ctx: Context,
  attestation: Attestation,
  signature: string,
): Promise<z.infer<typeof attestationAnswerSchema>> {
  const body = attestationText(attestation);
  const id = `att_${await sha256Hex(body)}`;
  const { account_id: accountId, level, issuer } = attestation;
  await using db = databaseOf(ctx.env);
  await recordAttestation(db, {
    id,
    accountId,
    level,
    issuer,
    body,
    signature,
    createdAt: ctx.startedMs,
    expiresAt: Date.parse(attestation.expires_at),
  });
  const stored = await findAttestation(db, { accountId, id });
  if (stored === null) throw new OctoError("not_found", `There is no attestation ${id}`);
  return attestationToJson(ctx, stored);
}

function attestationToJson(
  { config, startedMs }: Context,
  row: StoredAttestation,
): z.infer<typeof attestationAnswerSchema> {
  const { level, issuer, expiresAt: expiresMs, revokedAt } = row;
  const fact = { level, issuer, expiresMs, revoked: revokedAt !== null };
  return {
    object: "attestation",
    id: row.id,
    account_id: row.accountId,
    level: row.level,
    issuer: row.issuer,
    counts: isCounting(fact, config.attesters, startedMs),
    recorded_at: timeToJson(row.createdAt),
    expires_at: timeToJson(row.expiresAt),
    revoked_at: timeToJson(row.revokedAt),
  };
}
