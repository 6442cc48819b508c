import { evictDurableObject } from "cloudflare:test";
import { beforeAll, describe, expect, test } from "vitest";
import { directoryObject } from "../../../edge/objects.ts";
import type { FakeWorker } from "../../helpers/fake-worker.ts";
import { call, env, newConsumer, refusal } from "../routes/edge-client.ts";
import {
  answering,
  chat,
  type ChatOptions,
  type Consumer,
  hub,
  newFunded,
  newModel,
  serve,
  storedTask,
  untilListed,
} from "../world.ts";
import { until } from "../../helpers/until.ts";
import { answered, dearAndCheap } from "./routed.ts";

let model: string;
let dear: FakeWorker;
let cheap: FakeWorker;
let consumer: Consumer;

beforeAll(async () => {
  ({ model, dear, cheap } = await dearAndCheap());
  consumer = await newFunded();
});

describe("a strategy", () => {
  test("is asked for in the body, by a header and behind the model's name", async () => {
    const asked: [string, ChatOptions][] = [
      [model, { body: { octo: { strategy: "cost" } } }],
      [model, { headers: { "x-octo-strategy": "cost" } }],
      [`${model}:cost`, {}],
    ];
    for (const [name, options] of asked) {
      const { workerId, strategy } = await answered(consumer, name, options);
      expect([workerId, strategy]).toEqual([cheap.id, "cost"]);
    }
    const fine = await answered(consumer, `${model}:quality`);
    expect([fine.workerId, fine.strategy]).toEqual([dear.id, "quality"]);
    const secret = await answered(consumer, model, { body: { octo: { strategy: "privacy" } } });
    expect([secret.workerId, secret.strategy]).toEqual([dear.id, "privacy"]);
    expect((await answered(consumer, model)).strategy).toBe("balanced");
  });

  test("in the body counts before the header, that before the suffix, that before the account's", async () => {
    const own = await newFunded();
    const routing = { strategy: "speed" };
    await call("PATCH /api/v1/account", { key: own.key, body: { routing } });
    const body = { octo: { strategy: "cost" } };
    const headers = { "x-octo-strategy": "quality" };
    const strategyOf = async (name: string, options: ChatOptions) =>
      (await answered(own, name, options)).strategy;
    expect(await strategyOf(`${model}:geo`, { body, headers })).toBe("cost");
    expect(await strategyOf(`${model}:geo`, { headers })).toBe("quality");
    expect(await strategyOf(`${model}:geo`, {})).toBe("geo");
    expect(await strategyOf(model, {})).toBe("speed");
  });

  test("is not meant by a name that is listed with its colon", async () => {
    const whole = `${newModel()}:cost`;
    const named = await serve(whole, { script: answering("whole") });
    await untilListed(whole);
    const { workerId, strategy } = await answered(consumer, whole);
    expect([workerId, strategy]).toEqual([named.id, "balanced"]);
    const twice = await answered(consumer, `${whole}:speed`);
    expect([twice.workerId, twice.strategy]).toEqual([named.id, "speed"]);
  });

  test("never reaches the engine, and the receipt's prompt is the plain request's", async () => {
    const one = newModel();
    const worker = await serve(one, { script: answering("hi") });
    await untilListed(one);
    const own = await newFunded();
    await answered(own, `${one}:cost`, { body: { octo: { region: "weur" } } });
    await answered(own, one);
    const [routed, plain] = worker.attempts;
    expect(routed?.request).toEqual(plain?.request);
    expect(routed?.request).toMatchObject({ model: one });
  });

  test("may be weights or an order of the consumer's own", async () => {
    const octo = { weights: { price: 1 } };
    const weighed = await answered(consumer, model, { body: { octo } });
    expect([weighed.workerId, weighed.strategy]).toEqual([cheap.id, "weights"]);
    const sorted = await answered(consumer, model, { body: { octo: { sort: "price" } } });
    expect([sorted.workerId, sorted.strategy]).toEqual([cheap.id, "sort"]);
  });

  test("that is none gets the list of those there are", async () => {
    const wrong = async (options: ChatOptions, name = model) => {
      const response = await chat(consumer, name, options);
      const { error } = (await response.json()) as { error: { message: string; param: string } };
      return [response.status, error.param, error.message];
    };
    const list = '"cost"|"speed"|"quality"|"privacy"|"geo"|"balanced"';
    expect(await wrong({ body: { octo: { strategy: "best" } } })).toEqual([
      400,
      "octo.strategy",
      `octo.strategy: Invalid option: expected one of ${list}`,
    ]);
    expect(await wrong({ headers: { "x-octo-strategy": "best" } })).toEqual([
      400,
      null,
      `x-octo-strategy: Invalid option: expected one of ${list}`,
    ]);
    const [status, param, message] = await wrong({ headers: { "x-octo-max-price": "cheap" } });
    expect([status, param]).toEqual([400, null]);
    expect(message).toBe("x-octo-max-price: one number, or two with a comma between them");
    const [, , region] = await wrong({ headers: { "x-octo-region": "weur, mars" } });
    expect(region).toContain('expected one of "wnam"|"enam"');
    expect(await wrong({ body: { octo: { weights: { luck: 1 } } } })).toEqual([
      400,
      "octo.weights.luck",
      "octo.weights.luck: there is no such field",
    ]);
    const [code, , unknown] = await wrong({}, `${model}:best`);
    expect(code).toBe(404);
    expect(unknown).toContain(`The model ${model}:best is not offered`);
    const there = "cost, speed, quality, privacy, geo, balanced";
    expect(unknown).toContain(`; behind the colon of ${model}:… may be ${there}`);
  });
});

describe("a limit", () => {
  test("of price leaves out who is dearer, and bounds what is held", async () => {
    for (const options of [
      { body: { octo: { strategy: "quality", max_price: 0.5 } } },
      { headers: { "x-octo-strategy": "quality", "x-octo-max-price": "0.5, 0.5" } },
    ]) {
      expect((await answered(consumer, model, options)).workerId).toBe(cheap.id);
    }
    const body = { octo: { strategy: "quality", max_price: { output: 4 } } };
    expect((await answered(consumer, model, { body })).workerId).toBe(dear.id);
    const poor = await newFunded(2_000);
    expect((await chat(poor, model)).status).toBe(402);
    const within = await chat(poor, model, { body: { octo: { max_price: 0.5 } } });
    expect([within.status, await within.text()]).toEqual([200, expect.stringContaining("cheap")]);
  });

  test("names whom to ask and whom not, by worker and by account", async () => {
    for (const octo of [{ include: [dear.id] }, { exclude: [cheap.id] }]) {
      const body = { octo: { strategy: "cost", ...octo } };
      expect((await answered(consumer, model, { body })).workerId).toBe(dear.id);
    }
    const body = { octo: { exclude: [cheap.id, dear.id] } };
    const nobody = await chat(consumer, model, { body });
    expect([nobody.status, await nobody.json()]).toMatchObject([
      429,
      { error: { message: `All workers with ${model} are among those that octo.exclude names` } },
    ]);
  });

  test("of class, place and ability is met or named", async () => {
    const secret = await answered(consumer, model, { body: { octo: { class: "confidential" } } });
    expect(secret.workerId).toBe(dear.id);
    expect(await storedTask(consumer, secret.taskId)).toMatchObject({
      task: { class: "confidential" },
    });
    const told = async (octo: Record<string, unknown>) => {
      const response = await chat(consumer, model, { body: { octo } });
      const { error } = (await response.json()) as { error: { message: string } };
      return [response.status, error.message];
    };
    expect(await told({ region: ["oc", "me"] })).toEqual([
      400,
      `No worker with ${model} is in oc, me; it is offered in weur`,
    ]);
    expect(await told({ require: ["param:mirostat"] })).toEqual([
      400,
      `No worker with ${model} can do what octo.require asks for (param:mirostat)`,
    ]);
    expect(await told({ min_reputation: 99.5 })).toEqual([
      400,
      expect.stringMatching(/^No worker with .* has a reputation of 99.5; the best has \d+$/),
    ]);
  });
});

test("how far a worker is from its hub is measured as it joins, and known to a hub that slept", async () => {
  const told = async () => {
    const [of] = await directoryObject(env, "weur").digests();
    const offer = of?.models.find((one) => one.model === model);
    return { atMs: of?.atMs ?? 0, roundTripMs: offer?.roundTripMs ?? null };
  };
  const { atMs, roundTripMs } = await told();
  expect(roundTripMs).toBeGreaterThanOrEqual(0);
  expect(roundTripMs).toBeLessThan(5_000);
  await evictDurableObject(hub(), { webSockets: "hibernate" });
  await hub().wake();
  const later = await until("the hub tells of itself again", async () => {
    const next = await told();
    return next.atMs > atMs && next;
  });
  expect(later.roundTripMs).toBe(roundTripMs);
});

describe("an account's own routing", () => {
  test("is shown, counts for every request, and is taken back", async () => {
    const own = await newFunded();
    const read = async () => (await call("GET /api/v1/account", { key: own.key })).json["routing"];
    expect(await read()).toBeNull();
    expect((await answered(own, model)).strategy).toBe("balanced");
    const routing = { sort: "price", max_price: { input: 0.5 }, region: "weur" };
    const changed = await call("PATCH /api/v1/account", { key: own.key, body: { routing } });
    expect([changed.status, changed.json["routing"]]).toEqual([200, routing]);
    expect(await read()).toEqual(routing);
    const cheapest = await answered(own, model);
    expect([cheapest.workerId, cheapest.strategy]).toEqual([cheap.id, "sort"]);
    // A limit stays where a request says something else.
    const body = { octo: { strategy: "quality" } };
    const limited = await answered(own, model, { body });
    expect([limited.workerId, limited.strategy]).toEqual([cheap.id, "quality"]);
    const back = await call("PATCH /api/v1/account", { key: own.key, body: { routing: null } });
    expect(back.json["routing"]).toBeNull();
    expect((await answered(own, model, { body })).workerId).toBe(dear.id);
  });

  test("is refused as a request's own is, and is not for operators to change", async () => {
    const own = await newConsumer();
    const patch = (body: unknown) => refusal("PATCH /api/v1/account", { key: own.key, body });
    expect(await patch({ routing: { strategy: "best" } })).toMatchObject({
      status: 400,
      param: "routing.strategy",
    });
    expect(await patch({})).toMatchObject({ status: 400, code: "invalid_request" });
    expect(await patch({ routing: null, name: "x" })).toMatchObject({ status: 400, param: "name" });
    const nobody = await refusal("PATCH /api/v1/account", { body: { routing: null } });
    expect(nobody.status).toBe(403);
  });
});

describe("conversations", () => {
  test("go back to the worker that has their beginning", async () => {
    const many = newModel();
    const workers = await Promise.all(
      Array.from({ length: 4 }, () => serve(many, { script: answering("yes"), slots: 8 })),
    );
    await untilListed(many, 4);
    const own = await newFunded();
    const homes = new Set<string>();
    // Until all are measured the unmeasured come last, and the first choices go to few.
    for (const worker of workers) {
      const body = { octo: { include: [worker.id] } };
      expect((await answered(own, many, { body })).workerId).toBe(worker.id);
    }
    for (let conversation = 0; conversation < 8; conversation++) {
      const messages = [{ role: "user", content: `conversation ${conversation}` }];
      const first = await answered(own, many, { body: { messages } });
      const turn = { role: "assistant", content: "yes" };
      const more = [...messages, turn, { role: "user", content: "and then?" }];
      const second = await answered(own, many, { body: { messages: more } });
      expect(second.workerId).toBe(first.workerId);
      homes.add(first.workerId);
    }
    expect(homes.size).toBeGreaterThan(1);
  });
});
