import { describe, expect, test } from "vitest";
import { until } from "../../helpers/until.ts";
import { call } from "../routes/edge-client.ts";
import { answering, chat, newFunded, newModel, serve, untilSettled } from "../world.ts";

type Octo = Record<string, unknown>;

/** The entries of a model's name, once there are so many. */
function entriesOf(model: string, count: number): Promise<Octo[]> {
  return until(`${model} has ${count} entries`, async () => {
    const { json } = await call("GET /v1/models");
    const data = json["data"] as { id: string; octo: Octo }[];
    const found = data.filter(({ id }) => id === model).map(({ octo }) => octo);
    return found.length === count && found;
  });
}

describe("two workers with one name for two sets of weights", () => {
  async function both() {
    const model = newModel();
    const [fine, coarse] = ["a".repeat(64), "b".repeat(64)];
    const content = { digest: fine, bits_per_weight: 16, quantization: "F16" };
    const declared = { digest: coarse, bits_per_weight: 4.5, identity: "declared" } as const;
    const fineWorker = await serve(model, { listing: content, script: answering("fine") });
    await serve(model, { listing: declared, script: answering("coarse") });
    await entriesOf(model, 2);
    return { model, coarse, fineWorker };
  }

  test("are two entries, and each says what it knows of itself", async () => {
    const { model } = await both();
    const entries = await entriesOf(model, 2);
    const shown = entries.map(({ digest, identity, bits_per_weight: bits }) => [
      digest,
      identity,
      bits,
    ]);
    expect(shown.toSorted()).toEqual([
      [`sha256:${"a".repeat(64)}`, "content", 16],
      [`sha256:${"b".repeat(64)}`, "declared", 4.5],
    ]);
  });

  test("are told apart by digest and by what a consumer demands", async () => {
    const { model, coarse, fineWorker } = await both();
    const consumer = await newFunded();
    for (const octo of [{ min_quantization: "int8" }, { identity: "content" }]) {
      for (let round = 0; round < 4; round++) {
        const response = await chat(consumer, model, { body: { octo } });
        expect(response.headers.get("x-octo-worker")).toBe(fineWorker.id);
        await response.text();
      }
    }
    // What only the edge acts on is not for the engine.
    const [attempt] = fineWorker.attempts;
    expect(Object.keys(attempt?.request ?? {}).toSorted()).toEqual([
      "max_completion_tokens",
      "messages",
      "model",
    ]);
    const named = await chat(consumer, `sha256:${coarse}`);
    expect(named.headers.get("x-octo-model-digest")).toContain(coarse);
    await named.text();
    const none = await chat(consumer, `sha256:${coarse}`, {
      body: { octo: { min_quantization: "fp16" } },
    });
    expect(await none.json()).toMatchObject({ error: { param: "octo" } });
    await untilSettled(consumer);
  });
});
