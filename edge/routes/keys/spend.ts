import { z } from "zod";
import { sha256Hex } from "../../../shared/crypto/bytes.ts";
import { canonicalJson } from "../../../shared/crypto/jcs.ts";
import { receiptSchema } from "../../../shared/protocol/receipt.ts";
import { eventId, framedEventId, keyUuid } from "../../../shared/spend-event.ts";
import { databaseOf } from "../../database.ts";
import { listSpentTasks, type SpentTask } from "../../db/money/spend.ts";
import {
  accountIdField,
  keyIdField,
  microsField,
  microsToJson,
  pageQuery,
  pageSchema,
  taskIdField,
  timeField,
  timeToJson,
} from "../fields.ts";
import { subjectAccount } from "./key-rights.ts";
import { knownAccount } from "../known-account.ts";
import { defineRoute, type Route } from "../route.ts";

/** Whom the account paid: the network, whichever worker it was; its receipts name the worker. */
const provider = "cipherocto";

const spendEventSchema = z
  .object({
    object: z.literal("spend.event"),
    event_id: z.string().meta({ description: "As RFC-0909 has it, over the fields below" }),
    framed_event_id: z
      .string()
      .meta({ description: "The same with each field's length before it: never shared" }),
    request_id: taskIdField,
    key_id: z.string(),
    key_uuid: z.uuid().meta({ description: "Stands for the key in both ids; made of `key_id`" }),
    team_id: z.string().nullable(),
    provider: z.string(),
    model: z.string(),
    input_tokens: z.int(),
    output_tokens: z.int(),
    cost_amount: microsField,
    pricing_hash: z
      .string()
      .meta({ description: "SHA-256 of the tariff, or else of the prices in its receipts" }),
    token_source: z.literal("provider_usage"),
    timestamp: timeField,
  })
  .meta({ id: "SpendEvent", description: "One task that was paid for." });

/** What was spent, as events that anybody can derive again from the same tasks. */
export const spendRoutes: readonly Route[] = [
  defineRoute({
    name: "listSpendEvents",
    method: "get",
    path: "/api/v1/spend/events",
    summary: "List what was spent, one event a settled task, newest first",
    about:
      "An event follows from its task alone, so that it is the same whenever it is asked for; " +
      "there is one for each key and request.",
    access: "money:read",
    query: z.strictObject({
      ...pageQuery,
      key_id: keyIdField.optional(),
      account_id: accountIdField
        .optional()
        .meta({ description: "Whose; the caller's own unless an operator says" }),
    }),
    answer: pageSchema(spendEventSchema).meta({ id: "SpendEventPage" }),
    errors: ["not_found"],
    async handle({ ctx, caller, query: { account_id: asked, key_id: keyId, ...page } }) {
      const accountId = subjectAccount(caller, asked);
      await knownAccount(ctx, accountId);
      await using db = databaseOf(ctx.env);
      const { items, next } = await listSpentTasks(db, { accountId, keyId, ...page });
      const data = await Promise.all(items.map(eventOf));
      return { object: "list", data, next_cursor: next };
    },
  }),
];

async function eventOf(task: SpentTask): Promise<z.infer<typeof spendEventSchema>> {
  const event = {
    requestId: task.id,
    keyUuid: await keyUuid(task.keyId),
    provider,
    model: task.model,
    inputTokens: task.promptTokens,
    outputTokens: task.completionTokens,
    pricingHash: await pricingHashOf(task),
    // A worker counts; what it may claim at most is bounded by what the edge has seen.
    tokenSource: "provider",
  } as const;
  return {
    object: "spend.event",
    event_id: await eventId(event),
    framed_event_id: await framedEventId(event),
    request_id: task.id,
    key_id: task.keyId,
    key_uuid: event.keyUuid,
    team_id: task.teamId,
    provider,
    model: task.model,
    input_tokens: task.promptTokens,
    output_tokens: task.completionTokens,
    cost_amount: microsToJson(task.costMicros),
    pricing_hash: event.pricingHash,
    token_source: "provider_usage",
    timestamp: timeToJson(task.endedAt),
  };
}

/** A task of before there were tariffs was paid by the prices that its receipts are signed for. */
function pricingHashOf({ tariff, receipts }: SpentTask): string | Promise<string> {
  if (tariff !== null && /^[0-9a-f]{64}$/.test(tariff)) return tariff;
  const prices = receipts.map((body) => {
    const receipt = receiptSchema.parse(JSON.parse(body));
    return {
      input_micros_per_million: receipt.input_micros_per_million,
      output_micros_per_million: receipt.output_micros_per_million,
    };
  });
  return sha256Hex(canonicalJson(prices));
}
