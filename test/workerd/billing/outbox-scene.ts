import { expect } from "vitest";
import type { TaskClosing } from "../../../edge/billing/closing.ts";
import type { Account } from "../../../edge/billing/account.ts";
import { accountObject } from "../../../edge/objects.ts";
import { postOf, termsFor } from "./closings.ts";
import { env } from "../routes/edge-client.ts";
import { type Consumer, newFunded, untilSettled } from "../world.ts";

export const funds = 100_000n;
/** A task's: in parts of 70, 10, 10, 5 and 5. */
export const costMicros = 100;

export function objectOf({ accountId }: Consumer): DurableObjectStub<Account> {
  return accountObject(env, accountId);
}

/** Two consumers and the provider of both. */
export async function newScene() {
  const [first, second] = [await newFunded(Number(funds)), await newFunded(Number(funds))];
  const provider = await newFunded(1);
  for (const account of [first, second, provider]) await untilSettled(account);
  return { consumers: [first, second], provider };
}

export async function settleOne(consumer: Consumer, provider: Consumer): Promise<TaskClosing> {
  const terms = termsFor(consumer);
  expect(await objectOf(consumer).hold(terms)).toMatchObject({ kind: "held" });
  const closing = postOf(terms, provider.accountId, costMicros);
  await objectOf(consumer).close([closing]);
  return closing;
}
