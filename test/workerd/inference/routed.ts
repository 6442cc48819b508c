import type { FakeWorker } from "../../helpers/fake-worker.ts";
import {
  answering,
  chat,
  type ChatOptions,
  type Consumer,
  newModel,
  serve,
  untilListed,
} from "../world.ts";

const cents = { input_micros_per_million: 10_000, output_micros_per_million: 10_000 };
const credits = { input_micros_per_million: 2_000_000, output_micros_per_million: 4_000_000 };

/** A dear worker with fine weights and a cheap one with coarse, under one name. */
export async function dearAndCheap(
  model = newModel(),
): Promise<{ model: string; dear: FakeWorker; cheap: FakeWorker }> {
  const fine = { ...credits, bits_per_weight: 16, class_ceiling: "confidential" as const };
  const dear = await serve(model, { listing: fine, script: answering("dear") });
  const coarse = { ...cents, bits_per_weight: 4.5 };
  const cheap = await serve(model, { listing: coarse, script: answering("cheap") });
  await untilListed(model, 2);
  return { model, dear, cheap };
}

/** Who answered, and by which strategy. */
export async function answered(consumer: Consumer, model: string, options: ChatOptions = {}) {
  const response = await chat(consumer, model, options);
  const text = await response.text();
  if (response.status !== 200) throw new Error(`refused: ${text}`);
  const header = (name: string) => response.headers.get(name) ?? "";
  return {
    workerId: header("x-octo-worker"),
    strategy: header("x-octo-strategy"),
    taskId: header("x-octo-task"),
  };
}
