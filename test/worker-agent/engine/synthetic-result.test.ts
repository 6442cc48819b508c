import { inflateSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { resultSchemas } from "../../../shared/openai/results.ts";
import type { ResultTask } from "../../../worker-agent/engine/engine.ts";
import { createSyntheticEngine } from "../../../worker-agent/engine/synthetic/synthetic.ts";
import { wavFile } from "../../helpers/wav-file.ts";

const engine = createSyntheticEngine({ documents: true });
const { signal } = new AbortController();
const audio = wavFile(6).toString("base64");

const tasks: readonly ResultTask[] = [
  { kind: "embedding", request: { model: "m", input: ["a", "b"] } },
  { kind: "rerank", request: { model: "m", query: "a b", documents: ["b", "a b", "c"] } },
  { kind: "classification", request: { model: "m", input: ["a", "b"] } },
  { kind: "transcription", request: { model: "m", audio, file_name: "a.wav" } },
  { kind: "image", request: { model: "m", prompt: "a", n: 2, size: "48x20" } },
];

test.each(tasks)(
  "a document of the kind $kind has its form, and is the same again",
  async (task) => {
    const answer = await engine.perform(task, signal);
    expect(resultSchemas[task.kind].parse(answer.result)).toEqual(answer.result);
    expect(await engine.perform(task, signal)).toEqual(answer);
    expect(answer.usage.prompt).toBeGreaterThan(0);
  },
);

test("an image is a PNG that holds every one of its rows", async () => {
  const request = { model: "m", prompt: "a", size: "48x20" };
  const { result, usage } = await engine.perform({ kind: "image", request }, signal);
  const { images } = resultSchemas.image.parse(result);
  const bytes = Buffer.from(images[0] ?? "", "base64");
  expect([bytes.readUInt32BE(16), bytes.readUInt32BE(20)]).toEqual([48, 20]);
  const at = bytes.indexOf("IDAT");
  const data = bytes.subarray(at + 4, at + 4 + bytes.readUInt32BE(at - 4));
  expect(inflateSync(data)).toHaveLength(20 * (1 + 6));
  expect(bytes.subarray(-12).toString("latin1")).toBe("\0\0\0\0IEND\xaeB`\x82");
  expect(usage.completion).toBe(3 * 2);
});

describe("what it does not do is refused", () => {
  test.each<[string, ResultTask]>([
    ["shorter vectors", { kind: "embedding", request: { model: "m", input: "a", dimensions: 8 } }],
    ["a JPEG", { kind: "image", request: { model: "m", prompt: "a", output_format: "jpeg" } }],
  ])("%s", async (_, task) => {
    await expect(engine.perform(task, signal)).rejects.toMatchObject({ code: "invalid_request" });
  });

  test("text, by an engine of documents", async () => {
    const request = { model: "m", prompt: "a" };
    const events = engine.generate({ kind: "completion", request }, signal);
    const first = events[Symbol.asyncIterator]().next();
    await expect(first).rejects.toMatchObject({ code: "invalid_request" });
  });

  test("documents, by an engine of text", async () => {
    const [task] = tasks;
    if (task === undefined) throw new Error("there is a task");
    await expect(createSyntheticEngine().perform(task, signal)).rejects.toMatchObject({
      code: "invalid_request",
    });
  });
});
