import { z } from "zod";
import { assert } from "../../../shared/assert.ts";
import { OctoError } from "../../../shared/errors.ts";
import { newId } from "../../../shared/ids.ts";
import type { Caller, Context } from "../../context.ts";
import { databaseOf } from "../../database.ts";
import { type Account, createOwnAccount, ownAccountsMax } from "../../db/people/accounts.ts";
import { findMember, removeMember } from "../../db/people/members.ts";
import { findPerson, listMemberships, renamePerson } from "../../db/people/people.ts";
import { noAccountId } from "../../sign-in/session-caller.ts";
import { concurrencyDefault } from "./accounts.ts";
import { accountIdField, nameField, personIdField, timeField, timeToJson } from "../fields.ts";
import { openAccount } from "../known-account.ts";
import { defineRoute, type Route } from "../route.ts";
import { membershipSchema, membershipToJson } from "./sign-in.ts";

const path = "/api/v1/me";

const personSchema = z
  .object({
    object: z.literal("person"),
    id: personIdField.meta({ description: "The person's Ed25519 public key" }),
    name: z.string(),
    account_id: accountIdField.nullable().meta({ description: "Whom this session acts for" }),
    accounts: z.array(membershipSchema),
    created_at: timeField,
    last_seen_at: timeField,
  })
  .meta({ id: "Person", description: "Who is signed in, and for whom they may act." });

/** Whoever is signed in. */
export const personRoutes: readonly Route[] = [
  defineRoute({
    name: "readOwnPerson",
    method: "get",
    path,
    summary: "Read who you are and whose member",
    access: "any person",
    answer: personSchema,
    async handle({ ctx, caller }) {
      return ownPerson(ctx, caller);
    },
  }),
  defineRoute({
    name: "changeOwnPerson",
    method: "patch",
    path,
    summary: "Change the name by which other members know you",
    access: "any person",
    body: z.strictObject({ name: nameField }).meta({
      id: "PersonChange",
      examples: [{ name: "Alice" }],
    }),
    answer: personSchema,
    async handle({ ctx, caller, body }) {
      await using db = databaseOf(ctx.env);
      await renamePerson(db, personOf(caller), body.name);
      return ownPerson(ctx, caller);
    },
  }),
  defineRoute({
    name: "leaveAccount",
    method: "post",
    path: `${path}/leave`,
    summary: "Be no member of an account any more",
    about: "Whoever manages an account makes members without asking them. Its last owner stays.",
    access: "any person",
    body: z.strictObject({ account_id: accountIdField }).meta({
      id: "AccountToLeave",
      examples: [{ account_id: "acct_0000000000000000000000" }],
    }),
    answer: personSchema,
    errors: ["not_found", "conflict"],
    async handle({ ctx, caller, body: { account_id: accountId } }) {
      await leave(ctx, personOf(caller), accountId);
      return ownPerson(ctx, caller);
    },
  }),
  defineRoute({
    name: "createOwnAccount",
    method: "post",
    path: "/api/v1/accounts/own",
    summary: "Open an account of your own",
    about:
      "Where the operator lets anybody. You are its owner; sign in again with its `account_id` " +
      "to act for it.",
    access: "any person",
    body: z.strictObject({ name: nameField }).meta({
      id: "NewOwnAccount",
      examples: [{ name: "Alice and friends" }],
    }),
    status: 201,
    answer: membershipSchema,
    errors: ["insufficient_scope", "conflict"],
    async handle({ ctx, caller, body }) {
      if (ctx.config.signUp === "closed") {
        const hint = "ask for an invitation, or ask the operator for an account";
        throw new OctoError("insufficient_scope", `Cannot open an account: ${hint}`);
      }
      const row: Account = {
        id: newId("acct"),
        kind: "consumer",
        name: body.name,
        status: "active",
        concurrencyMax: concurrencyDefault,
        createdAt: ctx.startedMs,
        routing: null,
        limits: null,
      };
      await using db = databaseOf(ctx.env);
      if (!(await createOwnAccount(db, row, personOf(caller)))) {
        throw new OctoError("conflict", `Cannot open an account: you own ${ownAccountsMax}`);
      }
      await openAccount(ctx, row);
      return { id: row.id, name: row.name, status: row.status, role: "owner" };
    },
  }),
];

async function leave(ctx: Context, personId: string, accountId: string): Promise<void> {
  await using db = databaseOf(ctx.env);
  if (await removeMember(db, { accountId, byPersonId: personId, personId })) return;
  if ((await findMember(db, { accountId, personId })) === null) {
    throw new OctoError("not_found", `You are no member of an account ${accountId}`);
  }
  const hint = "you are its last owner: make somebody else one first";
  throw new OctoError("conflict", `Cannot leave ${accountId}: ${hint}`);
}

/** The person behind a session. */
export function personOf(caller: Caller): string {
  assert(caller.personId !== null, "only a person gets here");
  return caller.personId;
}

async function ownPerson(ctx: Context, caller: Caller): Promise<z.infer<typeof personSchema>> {
  await using db = databaseOf(ctx.env);
  const id = personOf(caller);
  const [person, memberships] = await Promise.all([findPerson(db, id), listMemberships(db, id)]);
  if (person === null) throw new OctoError("invalid_api_key", "You were forgotten: sign in again");
  return {
    object: "person",
    id,
    name: person.name,
    account_id: caller.accountId === noAccountId ? null : caller.accountId,
    accounts: memberships.map(membershipToJson),
    created_at: timeToJson(person.createdAt),
    last_seen_at: timeToJson(person.lastSeenAt),
  };
}
