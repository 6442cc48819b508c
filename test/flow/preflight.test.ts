import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Flow, scripted } from "../helpers/flow-world.ts";
import { until } from "../helpers/until.ts";
import { openTinyEngine } from "../worker-agent/engine/tiny-engine.ts";

const tiny = "octo-tiny";
let flow: Flow;

beforeAll(async () => {
  flow = await Flow.start({ models: [tiny, `synthetic:${scripted}`] });
});
afterAll(async () => flow?.[Symbol.asyncDispose]());

async function octoOf(model: string) {
  const found = (await flow.models()).find(({ id }) => id === model);
  if (found === undefined) throw new Error(`${model} is not listed`);
  return found.octo;
}

function ask(body: Record<string, unknown>) {
  const messages = [{ role: "user", content: "Hello" }];
  const init = { method: "POST", body: JSON.stringify({ model: tiny, messages, ...body }) };
  return flow.fetch("/v1/chat/completions", init);
}

describe("what real engines claim", () => {
  test("is borne out by the hub's probes, down to a model of two million weights", async () => {
    await using claimed = await openTinyEngine();
    const { abilities } = claimed.engine.model;
    expect((await octoOf(tiny)).abilities).toEqual([...abilities].toSorted());
    expect((await octoOf(scripted)).abilities).toContain("tools");
  });

  test("has been measured before anybody asked", async () => {
    const { measured } = await octoOf(tiny);
    expect(measured?.success_share).toBe(1);
    expect(measured?.first_token_ms).toBeGreaterThan(0);
  });

  test("leaves no task behind", async () => {
    const response = await flow.fetch("/api/v1/tasks");
    expect(await response.json()).toMatchObject({ data: [] });
  });
});

describe("a consumer who demands precision", () => {
  test("is served by weights that have it", async () => {
    const response = await ask({ octo: { min_quantization: "int8", identity: "content" } });
    expect(response.status).toBe(200);
    await response.text();
  });

  test("is told what there is where none has it", async () => {
    const response = await ask({ octo: { min_quantization: "fp16" } });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      error: {
        param: "octo",
        message: expect.stringMatching(/it is offered as Q8_0 \(8\.\d bits a weight\)$/) as string,
      },
    });
  });

  test("finds listings by their bits, their identity and their measured speed", async () => {
    const found = await until("the registry has the listing", async () => {
      const response = await flow.fetch(`/api/v1/listings?model=${tiny}&bits_min=8`);
      const { data } = (await response.json()) as { data: Record<string, unknown>[] };
      return typeof data[0]?.["measured_samples"] === "number" && data[0];
    });
    expect(found).toMatchObject({ identity: "content", measured_success_share: 1 });
    const none = await flow.fetch(`/api/v1/listings?model=${tiny}&bits_min=9`);
    expect(await none.json()).toMatchObject({ data: [] });
  });

  test("can ask for the digest instead of the name", async () => {
    const { digest } = await octoOf(tiny);
    const response = await ask({ model: digest });
    expect(await response.json()).toMatchObject({ model: tiny });
  });
});
