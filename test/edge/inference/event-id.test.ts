import { expect, test } from "vitest";
import { formatEventId, parseEventId } from "../../../edge/inference/event-id.ts";

test("an event's id tells its hub and its place", () => {
  const id = { hubId: "weur:12", place: 345 };
  expect(formatEventId(id)).toBe("weur:12:345");
  expect(parseEventId("weur:12:345")).toEqual(id);
});

test.each([
  "",
  "345",
  "weur:345",
  "nowhere:1:2",
  "weur:123456:1",
  "weur:1:-1",
  "weur:1:1.5",
  "weur:1:2:3",
  " weur:1:2",
  "weur:1:2\n",
])("%j is no id of an event", (text) => {
  expect(parseEventId(text)).toBe(null);
});

test("a hub has one name, however its number is written", () => {
  expect(parseEventId("weur:007:1")).toEqual({ hubId: "weur:7", place: 1 });
});
