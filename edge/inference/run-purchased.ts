import { OctoError } from "../../shared/errors.ts";
import type { Micros } from "../../shared/money.ts";
import { permissionsOf } from "../../shared/permissions.ts";
import type { PurchaseAnswer, PurchaseAsk } from "../billing/purchases.ts";
import type { Caller, Context } from "../context.ts";
import { accountObject } from "../objects.ts";
import { encodeHeader, type Presented, responseHeader } from "../x402/wire.ts";
import { guestKeyId, payerAccountId, purchaseId } from "../x402/payer.ts";
import { requirementsOf } from "../x402/requirements.ts";
import type { X402Settings } from "../x402/settings.ts";
import { whyNotGood } from "../x402/why-not-good.ts";
import type { InferenceRequest } from "./engine-request.ts";
import { holdPlan } from "./hold-task.ts";
import { type Plan, planTask } from "./plan-task.ts";
import { priceTold } from "./price-told.ts";
import { runHeld } from "./run-inference.ts";

/** Somebody without an account, and what they pay with; null where they ask what it costs. */
export interface Guest {
  readonly settings: X402Settings;
  readonly presented: Presented | null;
}

/**
 * One inference for whoever has no account (x402): told what it costs, or paid for by one signed
 * transfer and run. What it costs less than was paid stays as credit of the address that paid.
 */
export async function runPurchased(
  ctx: Context,
  { settings, presented }: Guest,
  wanted: InferenceRequest,
): Promise<Response> {
  const authorizedMs = Date.now();
  const payer = presented?.payload.authorization.from ?? null;
  const accountId = payer === null ? "guest" : await payerAccountId(settings.network, payer);
  const caller = guestCaller(accountId);
  const plan = await planTask(ctx, caller, wanted);
  const limit = BigInt(plan.task.terms.limit);
  const price = { settings, micros: limit < 1n ? 1n : limit };
  if (presented === null) {
    const how = "send an API key, or pay for this request as the header PAYMENT-REQUIRED says";
    return priceTold(ctx, price, `It may cost ${limit} micros: ${how}`);
  }
  const wrong = whyNotGood(presented, settings, Date.now());
  if (wrong !== null) return priceTold(ctx, price, `Cannot take the authorization: ${wrong}`);

  const ask = askOf(settings, presented, plan);
  const account = accountObject(ctx.env, accountId);
  const answer = await account.buy(ask);
  const bought = boughtOf(answer);
  if (bought === null) return priceTold(ctx, price, whyNotBought(answer, price.micros));

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
    // Also where the consumer has left meanwhile.
    const returned = Promise.resolve(account.returnPurchase(ask.id, ask.taskId));
    ctx.waitUntil(returned);
    await returned;
    throw withReceipt(error, receipt);
  }
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

function askOf(settings: X402Settings, presented: Presented, { task }: Plan): PurchaseAsk {
  const { authorization } = presented.payload;
  const untilS = authorization.validBefore;
  return {
    id: purchaseId(settings, authorization),
    accountId: task.accountId,
    taskId: task.id,
    payer: authorization.from,
    micros: authorization.value,
    limit: BigInt(task.terms.limit),
    body: settleBody(settings, presented),
    // One that is good for ever is remembered as long as numbers last.
    untilMs: Number(untilS < 8_640_000_000_000n ? untilS : 8_640_000_000_000n) * 1_000,
  };
}

/** What a facilitator takes: the authorization as it was signed, and what we ask. */
function settleBody(settings: X402Settings, { accepted, payload }: Presented): string {
  const { signature, authorization } = payload;
  const { from, to, value, validAfter, validBefore, nonce } = authorization;
  const decimal = { value: `${value}`, validAfter: `${validAfter}`, validBefore: `${validBefore}` };
  const asked = requirementsOf(settings, accepted.amount);
  return JSON.stringify({
    x402Version: 2,
    paymentPayload: {
      x402Version: 2,
      accepted: asked,
      payload: { signature, authorization: { from, to, ...decimal, nonce } },
    },
    paymentRequirements: asked,
  });
}

type Bought = Extract<PurchaseAnswer, { readonly kind: "bought" }>;

/** What was bought; null where it takes another transfer. Throws where that would not help. */
function boughtOf(answer: PurchaseAnswer): Bought | null {
  switch (answer.kind) {
    case "bought":
      return answer;
    case "refused":
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
        `This address has ${answer.tasks} tasks running and may have no more; nothing was settled`,
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

function whyNotBought(answer: PurchaseAnswer, micros: Micros): string {
  if (answer.kind === "refused") return `The facilitator refused it: ${answer.reason}`;
  const free = answer.kind === "short" ? answer.free : 0n;
  return `It may cost ${micros} micros, and what was signed and your credit are ${free}`;
}

/** What was paid is known also where nothing came of it, and may be sent again. */
function withReceipt(error: unknown, receipt: string): unknown {
  if (!(error instanceof OctoError)) return error;
  const { code, message, param, retryAfterS, headers, cause } = error;
  return new OctoError(code, `${message} (the same authorization may be sent again)`, {
    cause,
    headers: { ...headers, [responseHeader]: receipt },
    ...(param === null ? {} : { param }),
    ...(retryAfterS === null ? {} : { retryAfterS }),
  });
}
