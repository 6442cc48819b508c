import { z } from "zod";
import { signaturePattern } from "../../../shared/crypto/signing.ts";
import { OctoError } from "../../../shared/errors.ts";
import { memberRoles } from "../../../shared/permissions.ts";
import type { Context } from "../../context.ts";
import { databaseOf } from "../../database.ts";
import { listMemberships, type Membership, recordSignIn } from "../../db/people/people.ts";
import { accountStatuses } from "../../db/schema/registry.ts";
import { countTry } from "../../rates/count-calls.ts";
import { answeredChallenge, newChallenge, refused } from "../../sign-in/challenge.ts";
import { createSession, sessionS } from "../../sign-in/session.ts";
import { accountIdField, personIdField, timeField, timeToJson } from "../fields.ts";
import { definePublicRoute } from "../public-route.ts";
import type { Route } from "../route.ts";

const challengeSchema = z
  .object({
    object: z.literal("challenge"),
    challenge: z.string().meta({
      description: "Sign the whole text under octo-sign-in-v1: the tag, a zero byte, the text",
    }),
    expires_at: timeField,
  })
  .meta({ id: "SignInChallenge", description: "What a wallet signs to sign in." });

const publicKeyExample = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

export const membershipSchema = z
  .object({
    id: accountIdField,
    name: z.string(),
    status: z.enum(accountStatuses),
    role: z.enum(memberRoles),
  })
  .meta({ id: "Membership", description: "An account that a person acts for, and as what." });

const sessionSchema = z
  .object({
    object: z.literal("session"),
    access_token: z.string().meta({ description: "Send it as `Authorization: Bearer …`" }),
    token_type: z.literal("Bearer"),
    expires_in: z.int().meta({ description: "Seconds" }),
    person_id: personIdField,
    account_id: accountIdField
      .nullable()
      .meta({ description: "Whom the session acts for; null where nobody was chosen" }),
    accounts: z.array(membershipSchema),
  })
  .meta({ id: "Session", description: "A person who is signed in." });

/** Signing in by a key pair: there is no password to lose. */
export const signInRoutes: readonly Route[] = [
  definePublicRoute({
    name: "createSignInChallenge",
    method: "post",
    path: "/api/v1/auth/challenge",
    summary: "Ask for a text to sign in with",
    about: "It can be answered once, within two minutes.",
    access: "anyone",
    body: z
      .strictObject({ public_key: personIdField })
      .meta({ id: "SignInKey", examples: [{ public_key: publicKeyExample }] }),
    answer: challengeSchema,
    errors: ["invalid_request", "rate_limit_exceeded"],
    async handle({ ctx, body }) {
      await countTry(ctx);
      const { text, expiresMs } = await newChallenge(ctx, body.public_key);
      return { object: "challenge", challenge: text, expires_at: timeToJson(expiresMs) };
    },
  }),
  definePublicRoute({
    name: "createSession",
    method: "post",
    path: "/api/v1/auth/token",
    summary: "Sign in with a signed challenge",
    about:
      "A key that was never seen becomes a person. Without `account_id` the session acts for the " +
      "one account its person is a member of, or for none.",
    access: "anyone",
    body: z
      .strictObject({
        challenge: z.string().max(1024),
        signature: z.string().regex(signaturePattern, "not an Ed25519 signature in base64url"),
        account_id: accountIdField.optional(),
      })
      .meta({
        id: "SignInAnswer",
        examples: [{ challenge: "CipherOcto sign-in, version 1\n…", signature: "A".repeat(86) }],
      }),
    answer: sessionSchema,
    errors: [
      "invalid_request",
      "invalid_api_key",
      "insufficient_scope",
      "not_found",
      "rate_limit_exceeded",
      "unavailable",
    ],
    async handle({ ctx, body: { challenge: text, signature, account_id: wanted } }) {
      await countTry(ctx);
      const {
        publicKey: personId,
        nonce,
        expiresMs,
      } = await answeredChallenge(ctx, {
        text,
        signature,
      });
      await using db = databaseOf(ctx.env);
      const memberships = await listMemberships(db, personId);
      const accountId =
        wanted === undefined
          ? onlyAccount(memberships)
          : chosenAccount(await listMemberships(db, personId, wanted), wanted);
      const signIn = { nonce, personId, expiresMs, nowMs: ctx.startedMs };
      if (!(await recordSignIn(db, signIn))) throw refused("the challenge was answered before");
      return sessionToJson(ctx, { personId, accountId, memberships });
    },
  }),
];

/** A member of several says for whom: nobody acts for an account by mistake. */
function onlyAccount(memberships: readonly Membership[]): string | null {
  const [only, second] = memberships.filter(({ status }) => status === "active");
  return second === undefined ? (only?.accountId ?? null) : null;
}

function chosenAccount([membership]: readonly Membership[], wanted: string): string {
  if (membership === undefined) {
    throw new OctoError("not_found", `You are no member of an account ${wanted}`);
  }
  if (membership.status !== "active") {
    throw new OctoError("insufficient_scope", `The account ${wanted} is suspended`);
  }
  return wanted;
}

async function sessionToJson(
  ctx: Context,
  signedIn: {
    readonly personId: string;
    readonly accountId: string | null;
    readonly memberships: readonly Membership[];
  },
): Promise<z.infer<typeof sessionSchema>> {
  const { personId, accountId, memberships } = signedIn;
  return {
    object: "session",
    access_token: await createSession(ctx, { personId, accountId }),
    token_type: "Bearer",
    expires_in: sessionS,
    person_id: personId,
    account_id: accountId,
    accounts: memberships.map(membershipToJson),
  };
}

export function membershipToJson(membership: Membership): z.infer<typeof membershipSchema> {
  const { accountId: id, name, status, role } = membership;
  return { id, name, status, role };
}
