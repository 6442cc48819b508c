import { expect, test } from "vitest";
import type { TaskClosing } from "../../../edge/billing/closing.ts";
import type { TaskEnding } from "../../../edge/hub/hub-state.ts";
import { Settler } from "../../../edge/hub/settling/settler.ts";
import { sha256Hex } from "../../../shared/crypto/bytes.ts";
import { generateSigningKey, type SigningKey } from "../../../shared/crypto/signing.ts";
import { signReceipt } from "../../../shared/protocol/receipt.ts";
import { until } from "../../helpers/until.ts";
import { endingsOf, HubScene, task, taskId } from "./hub-scene.ts";

/** An answered task under a receipt that its worker really signed. */
async function answered(name: string, key: SigningKey): Promise<TaskEnding> {
  const scene = new HubScene();
  scene.join("w");
  scene.submit(task(name));
  const [ending] = endingsOf(scene.end("w", `${taskId(name)}.1`, 0));
  if (ending?.kind !== "answered" || ending.receipt === null) throw new Error("it was answered");
  const receipt = {
    ...ending.receipt.receipt,
    worker: key.publicKey,
    prompt_hash: await sha256Hex(ending.entry.task.body),
    output_hash: await ending.attempt.transcript.hash(),
  };
  return { ...ending, receipt: await signReceipt(receipt, key) };
}

test("a settlement that comes while others are being checked is not lost", async () => {
  const { key } = await generateSigningKey();
  const [first, second] = [await answered("a", key), await answered("b", key)];
  const closed: string[] = [];
  const asked: ((key: SigningKey) => void)[] = [];
  const settler = new Settler({
    close: async (_accountId, closings: readonly TaskClosing[]) => {
      closed.push(...closings.map(({ terms }) => terms.task));
      return [];
    },
    acknowledge: () => undefined,
    distrust: (_sessionId, reason) => {
      throw new Error(reason);
    },
    edgeKey: () => new Promise((resolve) => asked.push(resolve)),
  });
  settler.settle(first);
  await until("the first is being checked", () => asked.length === 1);
  settler.settle(second);
  await until("both are being checked", () => asked.length === 2);
  for (const give of asked) give(key);
  await until("both are closed", () => closed.length === 2);
  expect(closed.toSorted()).toEqual([taskId("a"), taskId("b")].toSorted());
});

test("an account that was away is told of all that ended, in calls of a size that it takes", async () => {
  const { key } = await generateSigningKey();
  const calls: number[] = [];
  let isAway = true;
  let refused = 0;
  const settler = new Settler({
    close: async (_accountId, closings: readonly TaskClosing[]) => {
      if (isAway) {
        refused += 1;
        throw new Error("the account was reset");
      }
      calls.push(closings.length);
      return [];
    },
    acknowledge: () => undefined,
    distrust: () => undefined,
    edgeKey: () => Promise.resolve(key),
  });
  const ended = await answered("a", key);
  const unsigned = { ...ended, receipt: null } as TaskEnding;
  for (let tasks = 0; tasks < 1_200; tasks++) settler.settle(unsigned);
  await until("the account was asked in vain", () => refused > 0);
  isAway = false;
  await until("all are closed", () => calls.reduce((sum, count) => sum + count, 0) === 1_200);
  expect(Math.max(...calls)).toBeLessThanOrEqual(512);
});
