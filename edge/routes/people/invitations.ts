import { z } from "zod";
import { randomBase62, sha256Hex } from "../../../shared/crypto/bytes.ts";
import { OctoError } from "../../../shared/errors.ts";
import { newId, randomBytes } from "../../../shared/ids.ts";
import type { MemberRole } from "../../../shared/permissions.ts";
import type { Caller, Context } from "../../context.ts";
import { databaseOf } from "../../database.ts";
import {
  acceptInvitation,
  countOpenInvitations,
  createInvitation,
  findOpenInvitation,
  type Invitation,
  listInvitations,
  openInvitationsMax,
  revokeInvitation,
} from "../../db/people/invitations.ts";
import { listMemberships } from "../../db/people/people.ts";
import {
  accountIdField,
  nameField,
  pageQuery,
  pageSchema,
  pageToJson,
  personIdField,
  timeField,
  timeToJson,
} from "../fields.ts";
import { assertMayGiveRole } from "../keys/key-rights.ts";
import { countTry } from "../../rates/count-calls.ts";
import { knownAccount } from "../known-account.ts";
import { speakerOf } from "../speaker.ts";
import { invitedByField, onlyOwners, roleField } from "./members.ts";
import { personOf } from "./people.ts";
import { defineRoute, type Route } from "../route.ts";
import { membershipSchema, membershipToJson } from "./sign-in.ts";

const path = "/api/v1/invitations";
const dayMs = 86_400_000;

/** A week is how long people put things off; a link that lies about for longer is found. */
const daysDefault = 7;
const daysMax = 30;

const invitationIdField = z.string().regex(/^inv_[0-9A-Za-z]{22}$/, "not an invitation id");

const invitationSchema = z
  .object({
    object: z.literal("invitation"),
    id: invitationIdField,
    account_id: accountIdField,
    name: z.string().meta({ description: "Whom it is for, in the inviter's words" }),
    role: roleField,
    invited_by: invitedByField,
    created_at: timeField,
    expires_at: timeField,
    accepted_by: personIdField.nullable(),
    accepted_at: timeField.nullable(),
    revoked_at: timeField.nullable(),
  })
  .meta({ id: "Invitation", description: "An invitation, without its secret." });

const createdInvitationSchema = invitationSchema
  .extend({
    secret: z.string().meta({ description: "Whoever has it joins. Shown this once, not stored" }),
  })
  .meta({ id: "CreatedInvitation", description: "A new invitation with its secret." });

const newInvitationSchema = z
  .strictObject({
    name: nameField,
    role: roleField,
    expires_in_days: z.int().min(1).max(daysMax).default(daysDefault),
    account_id: accountIdField
      .optional()
      .meta({ description: "For operators, who invite the first owner of an account" }),
  })
  .meta({ id: "NewInvitation", examples: [{ name: "Bob of accounting", role: "finance" }] });

/** How people come to an account. */
export const invitationRoutes: readonly Route[] = [
  defineRoute({
    name: "createInvitation",
    method: "post",
    path,
    summary: "Invite somebody to your account",
    about: "Only owners invite owners; an operator invites the first owner of any account.",
    access: ["members:write", "network:operate"],
    body: newInvitationSchema,
    status: 201,
    answer: createdInvitationSchema,
    errors: ["not_found", "conflict"],
    async handle({ ctx, caller, body }) {
      const { accountId, isOperator } = await inviterOf(ctx, caller, body);
      const id = newId("inv");
      const secret = `octo_${id}_${randomBase62(43, randomBytes)}`;
      const row = {
        id,
        accountId,
        role: body.role,
        name: body.name,
        invitedBy: speakerOf(caller),
        createdAt: ctx.startedMs,
        expiresAt: ctx.startedMs + body.expires_in_days * dayMs,
      };
      await using db = databaseOf(ctx.env);
      const stored = { ...row, secretHash: await sha256Hex(secret) };
      const { personId } = caller;
      if (!(await createInvitation(db, stored, { personId, isOperator }))) {
        throw await whyNotInvited(ctx, accountId, isOperator);
      }
      const unused = { acceptedBy: null, acceptedAt: null, revokedAt: null };
      return { ...invitationToJson({ ...row, ...unused }), secret };
    },
  }),
  defineRoute({
    name: "listInvitations",
    method: "get",
    path,
    summary: "List the invitations to your account, newest first",
    access: "members:read",
    query: z.strictObject(pageQuery),
    answer: pageSchema(invitationSchema).meta({ id: "InvitationPage" }),
    async handle({ ctx, caller: { accountId }, query }) {
      await using db = databaseOf(ctx.env);
      return pageToJson(await listInvitations(db, { accountId, ...query }), invitationToJson);
    },
  }),
  defineRoute({
    name: "revokeInvitation",
    method: "delete",
    path: `${path}/:id`,
    summary: "Revoke an invitation",
    about: "Who has accepted it stays a member.",
    access: "members:write",
    params: z.strictObject({ id: invitationIdField }),
    answer: z
      .object({ object: z.literal("invitation"), id: invitationIdField, revoked: z.literal(true) })
      .meta({ id: "RevokedInvitation" }),
    errors: ["not_found"],
    async handle({ ctx, caller: { accountId }, params: { id } }) {
      await using db = databaseOf(ctx.env);
      if (!(await revokeInvitation(db, { accountId, id, atMs: ctx.startedMs }))) {
        throw new OctoError("not_found", `There is no invitation ${id}`);
      }
      return { object: "invitation", id, revoked: true };
    },
  }),
  defineRoute({
    name: "acceptInvitation",
    method: "post",
    path: `${path}/accept`,
    summary: "Become a member by an invitation",
    about: "Sign in again with the account's id to act for it.",
    access: "any person",
    body: z
      .strictObject({ secret: z.string().max(128) })
      .meta({ id: "InvitationSecret", examples: [{ secret: "octo_inv_…" }] }),
    answer: membershipSchema,
    errors: ["not_found", "conflict"],
    async handle({ ctx, caller, body: { secret } }) {
      // Whoever makes themselves many people guesses no more often.
      await countTry(ctx);
      return accept(ctx, personOf(caller), secret);
    },
  }),
];

async function accept(ctx: Context, personId: string, secret: string) {
  const id = /^octo_(inv_[0-9A-Za-z]{22})_[0-9A-Za-z]{43}$/.exec(secret)?.[1];
  if (id === undefined) throw noSuchInvitation();
  const acceptance = { id, secretHash: await sha256Hex(secret), personId, nowMs: ctx.startedMs };
  await using db = databaseOf(ctx.env);
  const invitation = await findOpenInvitation(db, acceptance);
  if (invitation === null) throw noSuchInvitation();
  const { accountId } = invitation;
  const isJoined = await acceptInvitation(db, acceptance);
  const [membership] = await listMemberships(db, personId, accountId);
  if (isJoined && membership !== undefined) return membershipToJson(membership);
  if (membership === undefined) throw noSuchInvitation();
  throw new OctoError("conflict", `You are a member of ${accountId} already`);
}

/** For which account somebody invites; of other accounts than their own only operators know. */
async function inviterOf(
  ctx: Context,
  caller: Caller,
  body: { readonly account_id?: string | undefined; readonly role: MemberRole },
): Promise<{ readonly accountId: string; readonly isOperator: boolean }> {
  const wanted = body.account_id ?? caller.accountId;
  if (wanted === caller.accountId && caller.permissions.has("members:write")) {
    assertMayGiveRole(caller, body.role);
    return { accountId: wanted, isOperator: false };
  }
  if (!caller.permissions.has("network:operate")) {
    throw new OctoError("not_found", `There is no account ${wanted}`);
  }
  if (body.account_id === undefined) {
    const message = "account_id: say to which account";
    throw new OctoError("invalid_request", message, { param: "account_id" });
  }
  await knownAccount(ctx, wanted);
  if (body.role === "owner") return { accountId: wanted, isOperator: true };
  const message = "role: an operator invites an owner, who invites the others";
  throw new OctoError("invalid_request", message, { param: "role" });
}

async function whyNotInvited(
  ctx: Context,
  accountId: string,
  isOperator: boolean,
): Promise<OctoError> {
  await using db = databaseOf(ctx.env);
  if ((await countOpenInvitations(db, accountId, ctx.startedMs)) >= openInvitationsMax) {
    const message = `Cannot invite more: ${openInvitationsMax} invitations are open; revoke some`;
    return new OctoError("conflict", message);
  }
  if (!isOperator) return onlyOwners();
  return new OctoError("conflict", `The account ${accountId} has an owner, who invites others`);
}

/** One answer for unknown, used, revoked and expired ones: it tells a guesser nothing. */
function noSuchInvitation(): OctoError {
  const message = "There is no such invitation: it is mistyped, used, revoked or expired";
  return new OctoError("not_found", message);
}

function invitationToJson(row: Invitation): z.infer<typeof invitationSchema> {
  return {
    object: "invitation",
    id: row.id,
    account_id: row.accountId,
    name: row.name,
    role: row.role,
    invited_by: row.invitedBy,
    created_at: timeToJson(row.createdAt),
    expires_at: timeToJson(row.expiresAt),
    accepted_by: row.acceptedBy,
    accepted_at: timeToJson(row.acceptedAt),
    revoked_at: timeToJson(row.revokedAt),
  };
}
