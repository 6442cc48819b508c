import { expect, test } from "vitest";
import { mergeChoices } from "../../../worker-agent/engine/merge-choices.ts";

async function* counting(name: string, count: number, closed: string[]) {
  try {
    for (let i = 0; i < count; i++) yield `${name}${i}`;
    return name;
  } finally {
    closed.push(name);
  }
}

test("the items of all choices come, and their results in the order of the choices", async () => {
  const merged = mergeChoices([counting("a", 3, []), counting("b", 1, [])], () => {});
  const items: string[] = [];
  let next = await merged.next();
  for (; next.done !== true; next = await merged.next()) items.push(next.value);
  expect(items.toSorted()).toEqual(["a0", "a1", "a2", "b0"]);
  expect(next.value).toEqual(["a", "b"]);
});

test("a consumer that leaves closes every choice", async () => {
  const closed: string[] = [];
  const sources = [counting("a", 9, closed), counting("b", 9, closed)];
  for await (const item of mergeChoices(sources, () => closed.push("stop"))) {
    if (item !== "") break;
  }
  expect(closed[0]).toBe("stop");
  expect(closed.toSorted()).toEqual(["a", "b", "stop"]);
});

test("a choice that fails closes the others and its failure is thrown", async () => {
  const closed: string[] = [];
  async function* failing(): AsyncGenerator<string, string> {
    yield "x";
    throw new Error("broken");
  }
  const merged = mergeChoices([counting("a", 99, closed), failing()], () => {});
  const drain = async (): Promise<void> => {
    for await (const item of merged) expect(item).not.toBe("");
  };
  await expect(drain()).rejects.toThrow("broken");
  expect(closed).toEqual(["a"]);
});
