import { expect, test } from "vitest";
import type { Account } from "../../../edge/billing/account.ts";
import { accountObject } from "../../../edge/objects.ts";
import type { Limits } from "../../../shared/limits.ts";
import { termsFor, voidOf } from "./closings.ts";
import { env } from "../routes/edge-client.ts";
import {
  answering,
  chat,
  type Consumer,
  newFunded,
  newModel,
  serve,
  untilListed,
} from "../world.ts";

function objectOf({ accountId }: Consumer): DurableObjectStub<Account> {
  return accountObject(env, accountId);
}

async function withConcurrency(concurrencyMax: number): Promise<Consumer> {
  const consumer = await newFunded();
  const { accountId } = consumer;
  await objectOf(consumer).open({ accountId, status: "active", concurrencyMax });
  return consumer;
}

async function withLimits(limits: Limits): Promise<Consumer> {
  const consumer = await newFunded();
  await objectOf(consumer).setLimits({ scope: "account", id: consumer.accountId }, limits);
  return consumer;
}

test.each<[string, () => Promise<Consumer>]>([
  ["one task at a time", () => withConcurrency(1)],
  ["one task at a time by its limits", () => withLimits({ concurrency: 1 })],
  // The longest answer is asked for each time, and a part of it is made.
  ["credit for one task at a time", () => newFunded(900)],
])("an account with %s may ask as soon as its answer has ended", async (_what, newAccount) => {
  const model = newModel();
  await serve(model, { script: answering("Hel", "lo") });
  await untilListed(model);
  const consumer = await newAccount();
  for (let asked = 0; asked < 5; asked++) {
    const response = await chat(consumer, model, { stream: asked % 2 === 1 });
    await response.text();
    expect({ asked, status: response.status }).toEqual({ asked, status: 200 });
  }
});

test("a task that goes on running refuses the next one, and a closed one lets it in", async () => {
  const consumer = await withConcurrency(1);
  const [first, second] = [termsFor(consumer), termsFor(consumer)];
  expect(await objectOf(consumer).hold(first)).toMatchObject({ kind: "held" });
  expect(await objectOf(consumer).hold(second)).toMatchObject({ code: "rate_limit_exceeded" });
  const waiting = objectOf(consumer).hold(second);
  await objectOf(consumer).close([voidOf(first)]);
  expect(await waiting).toMatchObject({ kind: "held" });
});

test("of many that wait for the one place that comes free, one gets it", async () => {
  const consumer = await withConcurrency(1);
  const first = termsFor(consumer);
  await objectOf(consumer).hold(first);
  const waiting = Array.from({ length: 80 }, () => objectOf(consumer).hold(termsFor(consumer)));
  await objectOf(consumer).close([voidOf(first)]);
  const kinds = (await Promise.all(waiting)).map(({ kind }) => kind);
  expect(kinds.filter((kind) => kind === "held")).toHaveLength(1);
});
