import { expect, test } from "vitest";
import { call } from "./routes/edge-client.ts";

test("the edge answers in workerd", async () => {
  expect(await call("GET /healthz", { key: null })).toMatchObject({ status: 200 });
});
