import { z } from "zod";
import { OctoError } from "../../../shared/errors.ts";
import { newId } from "../../../shared/ids.ts";
import type { Caller, Context } from "../../context.ts";
import { databaseOf } from "../../database.ts";
import {
  type Approval,
  createApproval,
  decideApproval,
  findApproval,
  listApprovals,
} from "../../db/money/approvals.ts";
import { approvalStates } from "../../db/schema/money.ts";
import {
  accountIdField,
  amountField,
  microsField,
  microsToJson,
  pageQuery,
  pageSchema,
  pageToJson,
  remarkField,
  timeField,
  timeToJson,
} from "../fields.ts";
import { knownAccount } from "../known-account.ts";
import { operatorOf } from "./four-eyes.ts";
import { defineRoute, type Route } from "../route.ts";
import { speakerOf } from "../speaker.ts";
import { carryOut } from "./carry-out.ts";

const path = "/api/v1/approvals";
const params = z.strictObject({
  id: z.string().regex(/^apr_[0-9A-Za-z]{22}$/, "not an approval's id"),
});

const approvalSchema = z
  .object({
    object: z.literal("approval"),
    id: z.string(),
    kind: z.enum(["mint", "restore"]),
    account_id: accountIdField,
    asset: z.string(),
    amount_micros: microsField,
    reason: z.string(),
    state: z.enum(approvalStates),
    requested_by: z.string().meta({ description: "The id of the key that asked" }),
    decided_by: z.string().nullable(),
    created_at: timeField,
    decided_at: timeField.nullable(),
    done_at: timeField
      .nullable()
      .meta({ description: "When what was approved was done; null while it is not" }),
  })
  .meta({ id: "Approval", description: "What two operators have to agree on." });

const newApprovalSchema = z
  .strictObject({
    kind: z.literal("mint"),
    account_id: accountIdField,
    amount_micros: amountField,
    reason: remarkField.trim().min(1),
  })
  .meta({
    id: "NewApproval",
    examples: [
      {
        kind: "mint",
        account_id: "acct_0000000000000000000000",
        amount_micros: 5_000_000_000,
        reason: "prepaid by bank transfer 2026-11-28",
      },
    ],
  });

/** Four eyes: one operator asks, another decides. */
export const approvalRoutes: readonly Route[] = [
  defineRoute({
    name: "askApproval",
    method: "post",
    path,
    summary: "Ask another operator to agree to an amount",
    access: "network:operate",
    body: newApprovalSchema,
    status: 201,
    answer: approvalSchema,
    errors: ["not_found"],
    async handle({ ctx, caller, body }) {
      await knownAccount(ctx, body.account_id);
      const row: Approval = {
        id: newId("apr"),
        kind: body.kind,
        accountId: body.account_id,
        asset: "CREDIT",
        amountMicros: BigInt(body.amount_micros),
        reason: body.reason,
        requestedBy: speakerOf(caller),
        requestedAccount: operatorOf(caller),
        decidedBy: null,
        state: "pending",
        createdAt: ctx.startedMs,
        decidedAt: null,
        doneAt: null,
      };
      await using db = databaseOf(ctx.env);
      await createApproval(db, row);
      return approvalToJson(row);
    },
  }),
  defineRoute({
    name: "listApprovals",
    method: "get",
    path,
    summary: "List what operators agreed on or have to, newest first",
    access: "network:operate",
    query: z.strictObject(pageQuery),
    answer: pageSchema(approvalSchema).meta({ id: "ApprovalPage" }),
    async handle({ ctx, query }) {
      await using db = databaseOf(ctx.env);
      return pageToJson(await listApprovals(db, query), approvalToJson);
    },
  }),
  defineRoute({
    name: "approve",
    method: "post",
    path: `${path}/:id/approve`,
    summary: "Agree to what another operator asked for, and do it",
    about:
      "Approving again does nothing again, and finishes what broke off in between; so does a " +
      "timer, every few minutes.",
    access: "network:operate",
    params,
    answer: approvalSchema,
    errors: ["not_found", "conflict"],
    async handle({ ctx, caller, params: { id } }) {
      const row = await decided(ctx, caller, { id, state: "approved" });
      return approvalToJson(await carryOut(ctx, row));
    },
  }),
  defineRoute({
    name: "rejectApproval",
    method: "post",
    path: `${path}/:id/reject`,
    summary: "Refuse what another operator asked for",
    access: "network:operate",
    params,
    answer: approvalSchema,
    errors: ["not_found", "conflict"],
    async handle({ ctx, caller, params: { id } }) {
      return approvalToJson(await decided(ctx, caller, { id, state: "rejected" }));
    },
  }),
];

/** The approval as decided now or, in the same way, before. */
async function decided(
  ctx: Context,
  caller: Caller,
  decision: { readonly id: string; readonly state: "approved" | "rejected" },
): Promise<Approval> {
  const { id, state } = decision;
  const by = { decidedBy: speakerOf(caller), decidedByAccount: operatorOf(caller) };
  await using db = databaseOf(ctx.env);
  await decideApproval(db, { id, state, ...by, atMs: ctx.startedMs });
  const row = await findApproval(db, id);
  if (row === null) throw new OctoError("not_found", `There is no approval ${id}`);
  if (row.state === state) return row;
  const why =
    row.state === "pending"
      ? "whoever asks does not decide, nor does another key of the same account"
      : `it is ${row.state} already`;
  throw new OctoError("conflict", `Cannot decide ${id}: ${why}`);
}

function approvalToJson(row: Approval): z.infer<typeof approvalSchema> {
  return {
    object: "approval",
    id: row.id,
    kind: row.kind === "restore" ? "restore" : "mint",
    account_id: row.accountId,
    asset: row.asset,
    amount_micros: microsToJson(row.amountMicros),
    reason: row.reason,
    state: row.state,
    requested_by: row.requestedBy,
    decided_by: row.decidedBy,
    created_at: timeToJson(row.createdAt),
    decided_at: timeToJson(row.decidedAt),
    done_at: timeToJson(row.doneAt),
  };
}
