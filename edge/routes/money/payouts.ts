import { z } from "zod";
import { type Asset, assets } from "../../../shared/assets.ts";
import { type PayoutTree, payoutTree } from "../../../shared/crypto/payout-tree.ts";
import { assert } from "../../../shared/assert.ts";
import { OctoError } from "../../../shared/errors.ts";
import { newId } from "../../../shared/ids.ts";
import type { Micros } from "../../../shared/money.ts";
import type { Context } from "../../context.ts";
import { databaseOf } from "../../database.ts";
import { findProof, forgetOldProofs, storeProofs } from "../../db/money/payout-proofs.ts";
import {
  beginPayout,
  findPayout,
  finishPayout,
  leavePayout,
  listPayouts,
  openPayout,
  type PaidAddress,
  paidByAddress,
  type Payout,
  withdrawalsOf,
} from "../../db/money/payouts.ts";
import type { Withdrawal } from "../../db/money/withdrawals.ts";
import { edgeLog } from "../../log.ts";
import {
  microsField,
  microsToJson,
  pageQuery,
  pageSchema,
  pageToJson,
  timeField,
  timeToJson,
} from "../fields.ts";
import { knownAccount } from "../known-account.ts";
import { defineRoute, type Route } from "../route.ts";
import { addressField } from "./withdrawal-schema.ts";

/**
 * Many withdrawals at once, under one Merkle root that a settlement contract is given. A leaf says
 * what its address was paid out in all, so that a claim pays what is left of it and a second claim
 * nothing; every address of before is in the tree again. The root can be recomputed by anybody.
 *
 * A payout is begun, each withdrawal's promise is posted, then it is finished: whoever calls again
 * after a crash finishes the one that was begun. Payouts are numbered by their times, each behind
 * the last: a tree covers its own payout and those before it.
 *
 * Before it is finished the proofs of all leaves are stored, so that to read one is to read a row.
 * Those of addresses that a payout did not pay itself are forgotten at the next one; they, and all
 * of payouts of before proofs were stored, are computed when they are asked for.
 */

/** Each of them is a call to its account: a few seconds of them. */
const withdrawalsMax = 500;
const path = "/api/v1/payouts";
const params = z.strictObject({
  id: z.string().regex(/^pyt_[0-9A-Za-z]{22}$/, "not a payout's id"),
});

const payoutSchema = z
  .object({
    object: z.literal("payout"),
    id: z.string(),
    asset: z.enum(assets),
    root: z.string().meta({ description: "Of OpenZeppelin's tree of (address, uint256 micros)" }),
    withdrawals: z.int(),
    total_micros: microsField.meta({ description: "Of this payout's own withdrawals" }),
    created_at: timeField,
  })
  .meta({ id: "Payout", description: "Withdrawals that were paid out together." });

const leafSchema = z.object({
  address: z.string(),
  cumulative_micros: microsField.meta({ description: "Paid out to the address in all" }),
});

const payoutDetailSchema = payoutSchema
  .extend({ leaves: z.array(leafSchema) })
  .meta({ id: "PayoutDetail", description: "A payout with all leaves of its tree." });

const proofSchema = leafSchema
  .extend({
    object: z.literal("payout.proof"),
    payout_id: z.string(),
    root: z.string(),
    proof: z.array(z.string()),
  })
  .meta({ id: "PayoutProof", description: "What a settlement contract is shown to pay." });

/** What was paid out, for everybody; to pay out is operators' work. */
export const payoutRoutes: readonly Route[] = [
  defineRoute({
    name: "createPayout",
    method: "post",
    path,
    summary: "Pay out what is queued, under one root",
    about:
      "Takes up to 500 withdrawals of an asset, the oldest first; call again for the rest. Those " +
      "of suspended accounts wait.",
    access: "network:operate",
    body: z
      .strictObject({ asset: z.enum(assets).default("CREDIT") })
      .meta({ id: "NewPayout", examples: [{ asset: "CREDIT" }] }),
    status: 201,
    answer: payoutSchema,
    errors: ["conflict"],
    async handle({ ctx, body: { asset } }) {
      await using db = databaseOf(ctx.env);
      const begun = { id: newId("pyt"), asset, createdAt: ctx.startedMs, withdrawalsMax };
      await beginPayout(db, begun);
      const open = await openPayout(db);
      if (open === null) throw new OctoError("conflict", `No withdrawal of ${asset} is queued`);
      return payoutToJson(await finish(ctx, open));
    },
  }),
  defineRoute({
    name: "listPayouts",
    method: "get",
    path,
    summary: "List the payouts, newest first",
    access: "any key",
    query: z.strictObject(pageQuery),
    answer: pageSchema(payoutSchema).meta({ id: "PayoutPage" }),
    async handle({ ctx, query }) {
      await using db = databaseOf(ctx.env);
      return pageToJson(await listPayouts(db, query), payoutToJson);
    },
  }),
  defineRoute({
    name: "readPayout",
    method: "get",
    path: `${path}/:id`,
    summary: "Read a payout with its leaves, to recompute its root",
    access: "any key",
    params,
    answer: payoutDetailSchema,
    errors: ["not_found"],
    async handle({ ctx, params: { id } }) {
      const payout = await known(ctx, id);
      await using db = databaseOf(ctx.env);
      const leaves = await paidByAddress(db, payout);
      return {
        ...payoutToJson(payout),
        leaves: leaves.map(({ address, micros }) => ({
          address,
          cumulative_micros: microsToJson(micros),
        })),
      };
    },
  }),
  defineRoute({
    name: "readPayoutProof",
    method: "get",
    path: `${path}/:id/proof`,
    summary: "Read the proof that an address is in a payout",
    access: "any key",
    params,
    query: z.strictObject({ address: addressField }),
    answer: proofSchema,
    errors: ["not_found"],
    async handle({ ctx, params: { id }, query: { address } }) {
      const proven = (await storedProof(ctx, id, address)) ?? (await madeProof(ctx, id, address));
      return {
        object: "payout.proof",
        payout_id: id,
        root: proven.root,
        address,
        cumulative_micros: microsToJson(proven.cumulativeMicros),
        proof: [...proven.proof],
      };
    },
  }),
];

/** Posts what the accounts have promised, each once, and then makes the root known. */
async function finish(ctx: Context, open: Payout): Promise<Payout> {
  await using db = databaseOf(ctx.env);
  const paid = await post(ctx, open);
  if (paid.length === 0) {
    throw new OctoError("conflict", `Nothing of payout ${open.id} can be paid; call again`);
  }
  const { leaves, tree } = treeOf(await paidByAddress(db, open));
  const paidNow = new Set(paid.map(({ address }) => address));
  const proofs = leaves.map(({ address, micros }, at) => ({
    address,
    cumulativeMicros: micros,
    proof: tree.proofs[at] ?? [],
    isPaid: paidNow.has(address),
  }));
  await storeProofs(db, open.id, proofs);
  const totalMicros = paid.reduce((sum, { amountMicros }) => sum + amountMicros, 0n);
  const finished = { ...open, root: tree.root, count: paid.length, totalMicros };
  await finishPayout(db, { ...finished, atMs: ctx.startedMs });
  await forgetOldProofs(db, open);
  return finished;
}

/**
 * The withdrawals of a payout that were posted. One whose account has nothing set aside for it
 * waits for an operator again, or it would hold up all the others for good.
 */
async function post(ctx: Context, open: Payout): Promise<Withdrawal[]> {
  await using db = databaseOf(ctx.env);
  const paid: Withdrawal[] = [];
  const withdrawalIds: string[] = [];
  for (const row of await withdrawalsOf(db, open.id)) {
    const { id, accountId } = row;
    const { object } = await knownAccount(ctx, accountId);
    const result = await object.post({ id, micros: null });
    if (result.kind === "posted") paid.push(row);
    else {
      edgeLog("error", "a withdrawal cannot be paid out", { withdrawal: id, why: result.reason });
      withdrawalIds.push(id);
    }
  }
  if (paid.length === 0 || withdrawalIds.length > 0) {
    await leavePayout(db, { payoutId: open.id, withdrawalIds, atMs: ctx.startedMs });
  }
  return paid;
}

/** What a proof says and proves. */
interface Proven {
  readonly root: string;
  readonly cumulativeMicros: Micros;
  readonly proof: readonly string[];
}

async function storedProof(ctx: Context, payoutId: string, address: string) {
  await using db = databaseOf(ctx.env);
  return findProof(db, { payoutId, address });
}

/** Computes what is not stored; an address that was never paid costs nobody a tree. */
async function madeProof(ctx: Context, id: string, address: string): Promise<Proven> {
  const payout = await known(ctx, id);
  await using db = databaseOf(ctx.env);
  const [own] = await paidByAddress(db, payout, address);
  if (own === undefined) {
    throw new OctoError("not_found", `The payout ${id} has nothing for ${address}`);
  }
  const { leaves, tree } = treeOf(await paidByAddress(db, payout));
  const proof = tree.proofs[leaves.findIndex((leaf) => leaf.address === address)];
  assert(proof !== undefined, `the tree of ${id} has a leaf of ${address}`);
  return { root: payout.root, cumulativeMicros: own.micros, proof };
}

function treeOf(leaves: readonly PaidAddress[]) {
  const tree: PayoutTree = payoutTree(
    leaves.map(({ address, micros: amount }) => ({ address, amount })),
  );
  return { leaves, tree };
}

async function known(ctx: Context, id: string): Promise<Payout> {
  await using db = databaseOf(ctx.env);
  const row = await findPayout(db, id);
  // One that is being made has no root to show.
  if (row === null || row.root === "") throw new OctoError("not_found", `There is no payout ${id}`);
  return row;
}

function payoutToJson(row: Payout): z.infer<typeof payoutSchema> {
  return {
    object: "payout",
    id: row.id,
    asset: row.asset as Asset,
    root: row.root,
    withdrawals: row.count,
    total_micros: microsToJson(row.totalMicros),
    created_at: timeToJson(row.createdAt),
  };
}
