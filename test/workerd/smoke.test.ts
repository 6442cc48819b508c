import { exports } from "cloudflare:workers";
import { expect, test } from "vitest";

test("the edge answers in workerd", async () => {
  const response = await (exports as unknown as { default: Fetcher }).default.fetch(new Request("https://edge.test/healthz"));
  expect(response.status).toBe(200);
});
