import { describe, expect, test } from "vitest";
import type { InferenceTask } from "../../../edge/inference/task.ts";
import { pngFile } from "../../helpers/image-files.ts";
import {
  closesOf,
  endingsOf,
  framesOf,
  howEnded,
  HubScene,
  listing,
  offersOf,
  recordIn,
  task,
  taskId,
} from "./hub-scene.ts";

const first = `${taskId("a")}.1`;
const second = `${taskId("a")}.2`;
const scores = JSON.stringify({ scores: [0.5, 1] });

const ranking: Partial<InferenceTask> = {
  kind: "rerank",
  streamed: false,
  demands: ["rerank"],
  completionTokensMax: 0,
  result: { kind: "rerank", scores: 2 },
};

/** A ranking on worker `v`, with `w` beside it. */
function running(changes: Partial<InferenceTask> = {}, config = {}): HubScene {
  const scene = new HubScene(config);
  const abilities = ["rerank", "images"];
  for (const name of ["v", "w"]) {
    scene.join(name, { listings: [listing({ abilities, context_tokens: 77 })] });
  }
  scene.submit(task("a", { ...ranking, ...changes }));
  return scene;
}

function answered(scene: HubScene, name: string, attempt: string, text: string) {
  scene.delta(name, attempt, 0, text);
  return scene.end(name, attempt, 1);
}

describe("a document", () => {
  test("that answers its request ends the task, and its completion is no tokens", () => {
    const effects = answered(running(), "v", first, scores);
    expect(endingsOf(effects)).toMatchObject([
      { kind: "answered", counts: { promptTokens: 5, completionTokens: 0 } },
    ]);
  });

  test.each(["", "not JSON", '{"scores":[0.5]}', '{"scores":[0.5,7]}'])(
    "that is no answer (%j) moves the task to the next worker, and its socket stays",
    (text) => {
      const scene = running();
      const effects = answered(scene, "v", first, text);
      expect([offersOf(effects), closesOf(effects), howEnded(effects)]).toEqual([["w .2"], [], ""]);
      expect(recordIn(answered(scene, "w", second, scores))?.attempts).toMatchObject([
        { number: 1, outcome: "wrong_result" },
        { number: 2, outcome: "complete" },
      ]);
    },
  );

  test("that nobody gives rightly fails the task, and nothing is counted", () => {
    const scene = running({}, { failuresMax: 2 });
    answered(scene, "v", first, "{}");
    const [ending] = endingsOf(answered(scene, "w", second, "{}"));
    expect(ending).toMatchObject({ kind: "failed", code: "worker_failed" });
    expect(ending).toMatchObject({ message: expect.stringContaining("is no answer: scores:") });
  });

  test("that was cancelled is judged by nobody", () => {
    const scene = running();
    scene.delta("v", first, 0, '{"sco');
    scene.step({ kind: "consumer.gone", taskId: taskId("a") });
    const effects = scene.end("v", first, 1, { outcome: "cancelled" });
    expect(endingsOf(effects)).toMatchObject([
      { kind: "cancelled", counts: { completionTokens: 0 } },
    ]);
  });

  test("may take longer to its first byte than a text to its first token", () => {
    const scene = running({}, { firstTokenMs: 500, documentMs: 60_000 });
    expect(scene.tick(59_999)).toEqual([]);
    const effects = scene.tick(60_000);
    expect(framesOf(effects, "task.cancel")).toMatchObject([{ reason: "first_token_late" }]);
    expect(offersOf(effects)).toEqual(["w .2"]);
  });
});

describe("an image", () => {
  const image: Partial<InferenceTask> = {
    kind: "image",
    demands: ["images"],
    completionTokensMax: 1_000,
    result: { kind: "image", images: 1, size: "16x16", format: null },
  };
  const text = JSON.stringify({ images: [pngFile(16, 16)], format: "png" });
  const usage = (completion: number) => ({ usage: { prompt: 5, completion, cached: 0 } });

  test.each([
    ["the edge's count where its worker claims more", 5_000, 1_000],
    ["its worker's count where that is less", 10, 10],
  ])("counts for %s, however few its bytes and the model's context", (_, claimed, counted) => {
    expect(text.length).toBeLessThan(1_000);
    const scene = running(image);
    scene.delta("v", first, 0, text);
    const effects = scene.end("v", first, 1, usage(claimed));
    expect(endingsOf(effects)).toMatchObject([{ counts: { completionTokens: counted } }]);
  });
});
