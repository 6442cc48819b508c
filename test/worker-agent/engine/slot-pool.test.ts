import { expect, test } from "vitest";
import { SlotPool } from "../../../worker-agent/engine/embedded/slot-pool.ts";

const never = new AbortController().signal;

test("slots are lent in the order they are asked for", async () => {
  const pool = new SlotPool(["only"]);
  const order: string[] = [];
  expect(await pool.take(never)).toBe("only");
  const second = pool.take(never).then(() => order.push("second"));
  const third = pool.take(never).then(() => order.push("third"));
  pool.give("only");
  await second;
  pool.give("only");
  await third;
  expect(order).toEqual(["second", "third"]);
});

test("an aborted waiter gets nothing and leaves its place to the next", async () => {
  const pool = new SlotPool(["only"]);
  await pool.take(never);
  const abort = new AbortController();
  const aborted = pool.take(abort.signal);
  const next = pool.take(never);
  abort.abort();
  expect(await aborted).toBeNull();
  pool.give("only");
  expect(await next).toBe("only");
  expect(pool.freeCount).toBe(0);
});

test("the slot that was used longest ago is lent first, unless another is chosen", async () => {
  const pool = new SlotPool(["a", "b", "c"]);
  expect(await pool.take(never)).toBe("a");
  pool.give("a");
  expect(await pool.take(never)).toBe("b");
  pool.give("b");
  const offered: string[][] = [];
  const chosen = await pool.take(never, (free) => {
    offered.push([...free]);
    return free.at(1);
  });
  expect(offered).toEqual([["c", "a", "b"]]);
  expect(chosen).toBe("a");
  expect(await pool.take(never, () => undefined)).toBe("c");
});
