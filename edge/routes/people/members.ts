import { z } from "zod";
import { OctoError } from "../../../shared/errors.ts";
import { memberRoles } from "../../../shared/permissions.ts";
import type { Caller, Context } from "../../context.ts";
import { databaseOf } from "../../database.ts";
import {
  addMember,
  changeRole,
  findMember,
  findMembership,
  listMembers,
  type Member,
  type MemberChange,
  removeMember,
} from "../../db/people/members.ts";
import { findPerson } from "../../db/people/people.ts";
import {
  pageQuery,
  pageSchema,
  pageToJson,
  personIdField,
  timeField,
  timeToJson,
} from "../fields.ts";
import { assertMayGiveRole } from "../keys/key-rights.ts";
import { speakerOf } from "../speaker.ts";
import { defineRoute, type Route } from "../route.ts";

const path = "/api/v1/members";
const params = z.strictObject({ id: personIdField });

export const roleField = z.enum(memberRoles);

export const invitedByField = z
  .string()
  .nullable()
  .meta({
    description:
      "The person or the API key that let them in; null for who opened the account, and where it " +
      "was not noted yet",
  });

const memberSchema = z
  .object({
    object: z.literal("member"),
    id: personIdField.meta({ description: "The person's Ed25519 public key" }),
    name: z.string().meta({ description: "As they call themselves; may be empty" }),
    role: roleField,
    invited_by: invitedByField,
    created_at: timeField,
  })
  .meta({ id: "Member", description: "A person who acts for the account." });

/** Who acts for the caller's account. Only owners make or unmake owners; one always stays. */
export const memberRoutes: readonly Route[] = [
  defineRoute({
    name: "listMembers",
    method: "get",
    path,
    summary: "List the members of your account, newest first",
    access: "members:read",
    query: z.strictObject(pageQuery),
    answer: pageSchema(memberSchema).meta({ id: "MemberPage" }),
    async handle({ ctx, caller: { accountId }, query }) {
      await using db = databaseOf(ctx.env);
      return pageToJson(await listMembers(db, { accountId, ...query }), memberToJson);
    },
  }),
  defineRoute({
    name: "addMember",
    method: "post",
    path,
    summary: "Make somebody a member whose public key you know",
    about: "They have signed in here before; whoever has not can be invited.",
    access: "members:write",
    body: z.strictObject({ person_id: personIdField, role: roleField }).meta({
      id: "NewMember",
      examples: [{ person_id: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", role: "builder" }],
    }),
    status: 201,
    answer: memberSchema,
    errors: ["not_found", "conflict"],
    async handle({ ctx, caller, body: { person_id: personId, role } }) {
      assertMayGiveRole(caller, role);
      const change = changeBy(caller, personId);
      await using db = databaseOf(ctx.env);
      const isAdded = await addMember(db, {
        ...change,
        role,
        invitedBy: speakerOf(caller),
        nowMs: ctx.startedMs,
      });
      if (!isAdded) throw await whyNotAdded(ctx, change);
      return readMember(ctx, change);
    },
  }),
  defineRoute({
    name: "changeMember",
    method: "patch",
    path: `${path}/:id`,
    summary: "Give a member another role",
    about: "It holds from their next request on.",
    access: "members:write",
    params,
    body: z.strictObject({ role: roleField }).meta({
      id: "MemberChange",
      examples: [{ role: "auditor" }],
    }),
    answer: memberSchema,
    errors: ["not_found", "conflict"],
    async handle({ ctx, caller, params: { id }, body: { role } }) {
      assertMayGiveRole(caller, role);
      const change = changeBy(caller, id);
      await using db = databaseOf(ctx.env);
      if (!(await changeRole(db, { ...change, role }))) throw await whyNotChanged(ctx, change);
      return readMember(ctx, change);
    },
  }),
  defineRoute({
    name: "removeMember",
    method: "delete",
    path: `${path}/:id`,
    summary: "Remove a member",
    about: "Their sessions act for the account no more. API keys are the account's, and stay.",
    access: "members:write",
    params,
    answer: z
      .object({ object: z.literal("member"), id: personIdField, removed: z.literal(true) })
      .meta({ id: "RemovedMember" }),
    errors: ["not_found", "conflict"],
    async handle({ ctx, caller, params: { id } }) {
      const change = changeBy(caller, id);
      await using db = databaseOf(ctx.env);
      if (!(await removeMember(db, change))) throw await whyNotChanged(ctx, change);
      return { object: "member", id, removed: true };
    },
  }),
];

function changeBy(caller: Caller, personId: string): MemberChange {
  return { accountId: caller.accountId, byPersonId: caller.personId, personId };
}

/** Why somebody was not added, by what is true just after. */
async function whyNotAdded(ctx: Context, { accountId, personId }: MemberChange) {
  await using db = databaseOf(ctx.env);
  if ((await findPerson(db, personId)) === null) {
    return new OctoError("not_found", `Nobody has signed in as ${personId}: invite them`);
  }
  const member = await findMember(db, { accountId, personId });
  if (member === null) return onlyOwners();
  return new OctoError("conflict", `${personId} is a member already`);
}

/** Why a member was not changed or removed, by what is true just after. */
async function whyNotChanged(ctx: Context, change: MemberChange) {
  const { accountId, byPersonId, personId } = change;
  await using db = databaseOf(ctx.env);
  const member = await findMember(db, { accountId, personId });
  if (member === null) return noSuchMember(personId);
  if (byPersonId === null) return onlyOwners();
  const by = await findMembership(db, { accountId, personId: byPersonId });
  if (by?.role !== "owner") return onlyOwners();
  const message = "Cannot do without the last owner: make somebody else one first";
  return new OctoError("conflict", message);
}

export function onlyOwners(): OctoError {
  return new OctoError("insufficient_scope", "Only an owner makes or unmakes owners");
}

function noSuchMember(personId: string): OctoError {
  return new OctoError("not_found", `There is no member ${personId}`);
}

async function readMember(
  ctx: Context,
  { accountId, personId }: MemberChange,
): Promise<z.infer<typeof memberSchema>> {
  await using db = databaseOf(ctx.env);
  const member = await findMember(db, { accountId, personId });
  if (member === null) throw noSuchMember(personId);
  return memberToJson(member);
}

function memberToJson(member: Member): z.infer<typeof memberSchema> {
  return {
    object: "member",
    id: member.personId,
    name: member.name,
    role: member.role,
    invited_by: member.invitedBy,
    created_at: timeToJson(member.createdAt),
  };
}
