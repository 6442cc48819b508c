import { OctoError } from "../../shared/errors.ts";
import type { Micros } from "../../shared/money.ts";
import { permissionsOf } from "../../shared/permissions.ts";
import type { PurchaseAnswer } from "../billing/purchases/purchase-answers.ts";
import type { Caller, Context } from "../context.ts";
import { accountObject } from "../objects.ts";
import { countTry } from "../rates/count-calls.ts";
import {
  encodeHeader,
  type Presented,
  type PresentedPermit,
  responseHeader,
} from "../x402/wire.ts";
import { guestKeyId, payerAccountId, payerOf } from "../x402/payer.ts";
import type { X402Settings } from "../x402/settings.ts";
import type { InferenceRequest } from "./engine-request.ts";
import { holdPlan } from "./hold-plan.ts";
import { planTask } from "./plan-task.ts";
import { priceTold } from "./price-told.ts";
import { askOf, whyNotTaken } from "./purchase-ask.ts";
import { runHeld } from "./run-inference.ts";

/** Somebody without an account, and what they pay with; null where they ask what it costs. */
export interface Guest {
  readonly settings: X402Settings;
  readonly presented: Presented | PresentedPermit | null;
}

/**
 * One inference for whoever has no account (x402): told what it costs, or paid for by one signed
 * transfer and run. What it costs less than was paid stays as credit of the address that paid; a
 * transfer that was signed as a most (`upto`) is settled after it, for what it did cost.
 */
export async function runPurchased(
  ctx: Context,
  { settings, presented }: Guest,
  wanted: InferenceRequest,
): Promise<Response> {
  const authorizedMs = Date.now();
  const payer = presented === null ? null : payerOf(presented);
  const accountId = payer === null ? "guest" : await payerAccountId(settings.network, payer);
  const caller = guestCaller(accountId);
  const plan = await planTask(ctx, caller, wanted);
  const limit = BigInt(plan.task.terms.limit);
  const price = { settings, micros: limit < 1n ? 1n : limit, lacking: 0n };
  if (presented === null) {
    const how = "send an API key, or pay for this request as the header PAYMENT-REQUIRED says";
    return priceTold(ctx, price, `It may cost ${limit} micros: ${how}`);
  }
  const wrong = whyNotTaken(presented, settings, Date.now());
  if (wrong !== null) return refused(ctx, price, `Cannot take the authorization: ${wrong}`);

  const ask = askOf(settings, presented, plan);
  const account = accountObject(ctx.env, accountId);
  const answer = await account.buy(ask);
  if (answer.kind === "promised") {
    const giveUp = () => account.returnPurchase(ask.id, ask.taskId);
    const held = await holdPlan(ctx, caller, plan).catch(async (error: unknown) => {
      await untilReturned(ctx, giveUp());
      throw error;
    });
    return runHeld(ctx, wanted, held, authorizedMs).catch((error: unknown) => {
      throw withWords(error, "sign another authorization to try again", {});
    });
  }
  const bought = boughtOf(answer);
  if (bought === null) {
    const lacking = lackingOf(answer);
    return refused(ctx, { ...price, lacking }, whyNotBought(answer, price.micros));
  }

  const { network } = settings;
  const receipt = encodeHeader({
    success: true,
    transaction: bought.transaction,
    network,
    payer,
    amount: ask.micros.toString(),
    extra: { credit_micros: bought.free.toString() },
  });
  try {
    const held = await holdPlan(ctx, caller, plan);
    const response = await runHeld(ctx, wanted, held, authorizedMs);
    response.headers.set(responseHeader, receipt);
    return response;
  } catch (error) {
    await untilReturned(ctx, account.returnPurchase(ask.id, ask.taskId));
    // What was paid is known also where nothing came of it.
    const words = "the same authorization may be sent again";
    throw withWords(error, words, { [responseHeader]: receipt });
  }
}

/** What was signed does not do: whoever sends such things may do so only so often. */
async function refused(
  ctx: Context,
  price: Parameters<typeof priceTold>[1],
  why: string,
): Promise<Response> {
  await countTry(ctx);
  return priceTold(ctx, price, why);
}

/** Also where the consumer has left meanwhile. */
async function untilReturned(ctx: Context, returning: PromiseLike<void>): Promise<void> {
  const returned = Promise.resolve(returning);
  ctx.waitUntil(returned);
  await returned;
}

function guestCaller(accountId: string): Caller {
  return {
    accountId,
    keyId: guestKeyId,
    personId: null,
    permissions: permissionsOf([]),
    teamId: null,
    projectId: null,
    key: null,
    routing: null,
  };
}

type Bought = Extract<PurchaseAnswer, { readonly kind: "bought" }>;
type Unpromised = Exclude<PurchaseAnswer, { readonly kind: "promised" }>;

/** What was bought; null where it takes another transfer. Throws where that would not help. */
function boughtOf(answer: Unpromised): Bought | null {
  switch (answer.kind) {
    case "bought":
      return answer;
    case "refused":
    case "owing":
    case "short":
      return null;
    case "used":
      throw new OctoError(
        "conflict",
        `This authorization was used for task ${answer.taskId}: sign another one`,
      );
    case "busy":
      throw new OctoError(
        "rate_limit_exceeded",
        `This address has ${answer.tasks} tasks running or unpaid and may have no more; ` +
          "nothing was settled",
      );
    case "suspended":
      throw new OctoError("insufficient_scope", "The account of this address is suspended");
    case "doubtful":
      throw new OctoError(
        "conflict",
        "Nobody can tell whether this authorization was settled; whoever runs this edge was told",
      );
    case "unknown":
      throw new OctoError(
        "unavailable",
        "The facilitator did not answer: send the same authorization again, it counts once",
        { retryAfterS: 5 },
      );
  }
}

/** What a transfer has to bring beside the price. */
function lackingOf(answer: Unpromised): Micros {
  return answer.kind === "owing" || answer.kind === "short" ? answer.lacking : 0n;
}

function whyNotBought(answer: Unpromised, micros: Micros): string {
  if (answer.kind === "refused") return `The facilitator refused it: ${answer.reason}`;
  if (answer.kind === "owing") {
    const how = "pay by exact, for as much more";
    return `The address owes ${answer.micros} micros that were refused: ${how}`;
  }
  const free = answer.kind === "short" ? answer.free : 0n;
  return `It may cost ${micros} micros, and what was signed and your credit are ${free}`;
}

/** The error with what is to be said about the authorization. */
function withWords(error: unknown, words: string, more: Readonly<Record<string, string>>): unknown {
  if (!(error instanceof OctoError)) return error;
  const { code, message, param, retryAfterS, headers, cause } = error;
  return new OctoError(code, `${message} (${words})`, {
    cause,
    headers: { ...headers, ...more },
    ...(param === null ? {} : { param }),
    ...(retryAfterS === null ? {} : { retryAfterS }),
  });
}
