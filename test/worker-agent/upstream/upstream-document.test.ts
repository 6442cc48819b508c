import { describe, expect, test } from "vitest";
import type { ResultTask } from "../../../worker-agent/engine/engine.ts";
import { redSquare, silence } from "../../../worker-agent/upstream/probe-samples.ts";
import { openWorld } from "./open-recorded.ts";
import type { Asked, Route } from "./recorded-server.ts";

const never = new AbortController().signal;

/** A server of one model, named like the kind of it, with one endpoint. */
function serverOf(path: string, route: Route): Record<string, Route> {
  return { "/v1/models": { json: { data: [{ id: "m", owned_by: "somebody" }] } }, [path]: route };
}

/** llama-server, told by its properties, with a model that only ranks. */
function llamaRerankerOf(route: Route): Record<string, Route> {
  const settings = { n_ctx: 512 };
  const props = { default_generation_settings: settings, total_slots: 1, model_path: "m.gguf" };
  const models = { data: [{ id: "m", owned_by: "llamacpp" }] };
  return { "/v1/models": { json: models }, "/props": { json: props }, "/v1/rerank": route };
}

function floats(...numbers: number[]): string {
  return Buffer.from(Float32Array.from(numbers).buffer).toString("base64");
}

function inputsOf(body: Asked["body"], field: string): unknown[] {
  return [body[field]].flat();
}

const embed = (input: string | string[], more = {}): ResultTask => {
  return { kind: "embedding", request: { model: "m", input, ...more } };
};

describe("embeddings of another server", () => {
  const vectors = ({ body }: Asked) => {
    const length = Number(body["dimensions"] ?? 3);
    return inputsOf(body, "input").map((_, index) => {
      const numbers = Array.from({ length }, (_, at) => index + at * 0.5);
      const embedding = body["encoding_format"] === "base64" ? floats(...numbers) : numbers;
      return { object: "embedding", index, embedding };
    });
  };
  const usage = { prompt_tokens: 6, total_tokens: 6 };

  test("come as floats, in the order of the inputs, with the tokens counted", async () => {
    const route: Route = (asked) => ({ json: { data: vectors(asked).toReversed(), usage } });
    await using world = await openWorld(serverOf("/v1/embeddings", route));
    const engine = await world.open("m");
    expect(engine.kind).toBe("openai-compatible");
    expect(engine.model.abilities).toEqual(["embeddings", "embedding_dimensions"]);
    const answer = await engine.perform(embed(["a", "b"]), never);
    expect(answer).toEqual({
      result: { vectors: [floats(0, 0.5, 1), floats(1, 1.5, 2)] },
      usage: { prompt: 6, completion: 0, cached: 0 },
    });
  });

  test("that come as numbers are the same floats", async () => {
    const route: Route = (asked) => {
      const body = { ...asked.body, encoding_format: "float", dimensions: undefined };
      return { json: { data: vectors({ ...asked, body }), usage } };
    };
    await using world = await openWorld(serverOf("/v1/embeddings", route));
    const engine = await world.open("m");
    // It ignores the dimensions it is asked for, so it is not said to know them.
    expect(engine.model.abilities).toEqual(["embeddings"]);
    const { result } = await engine.perform(embed("a"), never);
    expect(result).toEqual({ vectors: [floats(0, 0.5, 1)] });
  });

  test.each([
    ["too few of them", { data: [] }],
    ["one twice", { data: [0, 0].map((index) => ({ index, embedding: [1] })) }],
    [
      "different lengths",
      { data: [[1], [1, 2]].map((embedding, index) => ({ index, embedding })) },
    ],
    ["no numbers", { data: [0, 1].map((index) => ({ index, embedding: ["x"] })) }],
    ["half a float", { data: [0, 1].map((index) => ({ index, embedding: "AAA=" })) }],
    ["nothing in them", { data: [0, 1].map((index) => ({ index, embedding: [] })) }],
    ["a number that is none", { data: [0, 1].map((i) => ({ index: i, embedding: floats(NaN) })) }],
    ["another document", { vectors: [] }],
  ])("with %s have failed", async (_what, json) => {
    const good: Route = (asked) => ({ json: { data: vectors(asked), usage } });
    await using world = await openWorld(serverOf("/v1/embeddings", good));
    const engine = await world.open("m");
    world.server.routes["/v1/embeddings"] = { json };
    await expect(engine.perform(embed(["a", "b"]), never)).rejects.toMatchObject({
      code: "engine_failed",
    });
  });

  test("that are cut, refused or not JSON fail with their reason", async () => {
    const good: Route = (asked) => ({ json: { data: vectors(asked), usage } });
    await using world = await openWorld(serverOf("/v1/embeddings", good));
    const engine = await world.open("m");
    const fails = async (route: Route, code: string) => {
      world.server.routes["/v1/embeddings"] = route;
      await expect(engine.perform(embed("a"), never)).rejects.toMatchObject({ code });
    };
    await fails({ text: "{" }, "engine_failed");
    await fails({ pieces: [Buffer.from("{")], after: "cut" }, "engine_failed");
    await fails({ status: 400, json: { error: "input is empty" } }, "invalid_request");
    await fails(
      { status: 400, json: { error: { message: "maximum context length is 512 tokens" } } },
      "context_length_exceeded",
    );
  });

  test("that nobody waits for reject with the abort's reason", async () => {
    const good: Route = (asked) => ({ json: { data: vectors(asked), usage } });
    await using world = await openWorld(serverOf("/v1/embeddings", good));
    const engine = await world.open("m");
    world.server.routes["/v1/embeddings"] = { hang: true };
    const leaving = new AbortController();
    const running = engine.perform(embed("a"), leaving.signal);
    leaving.abort(new Error("nobody waits"));
    await expect(running).rejects.toThrow("nobody waits");
    expect(engine.stats().running).toBe(0);
  });
});

describe("other documents of another server", () => {
  test("a reranker's logits become scores from 0 to 1, in the request's order", async () => {
    const route: Route = ({ body }) => {
      const scores = inputsOf(body, "documents").map((text, index) => {
        return { index, relevance_score: String(text).includes("panda") ? 4 : -4 };
      });
      return { json: { results: scores.toReversed(), usage: { total_tokens: 40 } } };
    };
    await using world = await openWorld(llamaRerankerOf(route));
    const engine = await world.open("m");
    expect(engine.model.abilities).toEqual(["rerank"]);
    const documents = ["the panda", "a stone"];
    const request = { model: "m", query: "q", documents, top_n: 1 };
    const { result, usage } = await engine.perform({ kind: "rerank", request }, never);
    const { scores } = result as { scores: number[] };
    expect(scores[0]).toBeCloseTo(1 / (1 + Math.exp(-4)));
    expect(scores[1]).toBeCloseTo(1 / (1 + Math.exp(4)));
    expect(usage.prompt).toBe(40);
    expect(world.server.bodies("/v1/rerank").at(-1)).not.toHaveProperty("top_n");
  });

  test("a document's score is the same alone and beside others", async () => {
    const route: Route = ({ body }) => {
      const results = inputsOf(body, "documents").map((text, index) => {
        return { index, relevance_score: String(text).includes("panda") ? 1.3 : 0.9 };
      });
      return { json: { results, usage: { total_tokens: 40 } } };
    };
    await using world = await openWorld(llamaRerankerOf(route));
    const engine = await world.open("m");
    const rank = async (...documents: string[]) => {
      const request = { model: "m", query: "q", documents };
      const { result } = await engine.perform({ kind: "rerank", request }, never);
      return (result as { scores: number[] }).scores;
    };
    const [panda, stone] = await rank("the panda", "a stone");
    expect(await rank("a stone")).toEqual([stone]);
    expect(await rank("the panda")).toEqual([panda]);
  });

  test("a reranker's probabilities stay what they are, and what is none is a failure", async () => {
    const scored = (score: number): Route => {
      return ({ body }) => {
        const results = inputsOf(body, "documents").map((text, index) => {
          return { index, relevance_score: String(text).includes("panda") ? score : 0.25 };
        });
        return { json: { results } };
      };
    };
    await using world = await openWorld(serverOf("/v1/rerank", scored(0.75)));
    const engine = await world.open("m");
    const request = { model: "m", query: "q", documents: ["a stone", "the panda"] };
    const rank = () => engine.perform({ kind: "rerank", request }, never);
    expect((await rank()).result).toEqual({ scores: [0.25, 0.75] });
    world.server.routes["/v1/rerank"] = scored(1.3);
    await expect(rank()).rejects.toMatchObject({
      code: "engine_failed",
      message: expect.stringContaining("scores that are not from 0 to 1") as string,
    });
  });

  test("a classifier's labels come the likeliest first", async () => {
    const route: Route = {
      json: {
        data: [{ index: 0, label: "good", probs: [0.1, 0.9], num_classes: 2 }],
        usage: { prompt_tokens: 7 },
      },
    };
    await using world = await openWorld(serverOf("/classify", route));
    const engine = await world.open("m");
    expect(engine.model.abilities).toEqual(["classification"]);
    const request = { model: "m", input: "fine" };
    const { result } = await engine.perform({ kind: "classification", request }, never);
    expect(result).toEqual({
      labels: [
        [
          { label: "good", score: 0.9 },
          { label: "LABEL_0", score: 0.1 },
        ],
      ],
    });
  });

  test("speech goes as a form, and comes back with its times", async () => {
    const route: Route = ({ text }) => ({
      json: {
        task: "transcribe",
        language: "english",
        duration: 1.5,
        text: " Hello there.",
        segments: [{ id: 0, start: 0, end: 1.5, text: " Hello there." }],
        ...(text.includes('"timestamp_granularities[]"')
          ? { words: [{ word: "Hello", start: 0, end: 0.5 }] }
          : {}),
      },
    });
    await using world = await openWorld(serverOf("/v1/audio/transcriptions", route));
    const engine = await world.open("m");
    expect(engine.model.abilities).toEqual([
      "transcription",
      "audio:wav",
      "audio:mp3",
      "audio:flac",
      "audio:ogg",
      "audio:mp4",
      "audio:webm",
      "word_timestamps",
    ]);
    const file = { audio: silence(), file_name: 'a"\r\nx: y.mp3' };
    const request = { model: "m", ...file, language: "en", temperature: 0 };
    const { result, usage } = await engine.perform({ kind: "transcription", request }, never);
    expect(result).toMatchObject({ text: " Hello there.", language: "en", words: null });
    expect(usage).toEqual({ prompt: 75, completion: 2, cached: 0 });
    const sent = world.server.asked.at(-1)?.text ?? "";
    expect(sent).toContain('name="file"; filename="audio.mp3"');
    expect(sent).toContain('name="language"\r\n\r\nen\r\n');
    expect(sent).not.toContain("x: y");
    expect(sent).toContain(Buffer.from(file.audio, "base64").toString("latin1"));
  });

  test("a server of speech that reads plain sound alone is offered for no other", async () => {
    const route: Route = ({ text }) =>
      text.includes("RIFF")
        ? { json: { text: "hello" } }
        : { status: 400, json: { error: "Failed to read audio" } };
    await using world = await openWorld(serverOf("/v1/audio/transcriptions", route));
    const { abilities } = (await world.open("m")).model;
    expect(abilities).toEqual(["transcription", "audio:wav"]);
  });

  test("a server of speech that tells no times is asked for the text alone", async () => {
    const route: Route = ({ text }) =>
      text.includes("verbose_json")
        ? { status: 400, json: { error: "verbose_json is not supported" } }
        : { json: { text: "hello" } };
    await using world = await openWorld(serverOf("/v1/audio/transcriptions", route));
    const engine = await world.open("m");
    expect(engine.model.abilities).not.toContain("word_timestamps");
    const request = { model: "m", audio: silence(), file_name: "a.wav" };
    const { result } = await engine.perform({ kind: "transcription", request }, never);
    expect(result).toEqual({
      text: "hello",
      language: null,
      duration_s: 0,
      segments: null,
      words: null,
    });
  });

  test("images come as whole files, counted by their size", async () => {
    const route: Route = ({ body }) => ({
      json: { data: Array.from({ length: Number(body["n"]) }, () => ({ b64_json: redSquare })) },
    });
    const routes = {
      ...serverOf("/v1/images/generations", route),
      "/v1/models": { json: { data: [{ id: "sd-cpp-local", owned_by: "local" }] } },
    };
    await using world = await openWorld(routes);
    const engine = await world.open("sd-cpp-local");
    expect(engine.kind).toBe("diffusion");
    expect(engine.model.abilities).toEqual(["images", "image:png"]);
    const prompt = 'a cat<sd_cpp_extra_args>{"steps":9999}</sd_cpp_extra_args> asleep';
    const request = { model: "m", prompt, n: 2, size: "64x32", init_image: "/etc/passwd" };
    const { result, usage } = await engine.perform({ kind: "image", request }, never);
    expect(result).toEqual({ images: [redSquare, redSquare], format: "png" });
    expect(usage.completion).toBe(2 * 4 * 2);
    expect(world.server.bodies("/v1/images/generations").at(-1)).toMatchObject({
      model: "sd-cpp-local",
      prompt: "a cat asleep",
      response_format: "b64_json",
    });
    expect(world.server.bodies("/v1/images/generations").at(-1)).not.toHaveProperty("init_image");
    for (const json of [{ data: [] }, { data: [{ b64_json: "aGVsbG8=" }] }, { data: "x" }]) {
      world.server.routes["/v1/images/generations"] = { json };
      const failed = engine.perform({ kind: "image", request: { ...request, n: 1 } }, never);
      await expect(failed).rejects.toMatchObject({ code: "engine_failed" });
    }
  });

  test("a model that answers nothing is not served", async () => {
    const models = { json: { data: [{ id: "m", owned_by: "somebody" }] } };
    await using world = await openWorld({ "/v1/models": models });
    await expect(world.open("m")).rejects.toThrow(/its model m answers nothing it was asked/);
    await expect(world.open("other")).rejects.toThrow(/it has no model other/);
  });
});
