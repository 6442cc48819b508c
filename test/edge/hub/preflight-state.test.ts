import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { emptyMemory, lastingMemory } from "../../../edge/hub/sessions/worker-memory.ts";
import {
  closesOf,
  endFrame,
  endingsOf,
  framesOf,
  HubScene,
  listing,
  offersOf,
  task,
} from "./hub-scene.ts";
import {
  ableEngine,
  all,
  answerProbes,
  type Asked,
  deaf,
  type FakeEngine,
  joined,
  lastResult,
  listedOf,
  type ProbeRequest,
  publish,
} from "./preflight-scene.ts";

describe("a claim", () => {
  test("is listed once probes have borne it out, and no consumer sees it before", () => {
    const { scene, effects } = joined();
    expect(lastResult(effects)).toMatchObject({ listed: ["m"], checking: ["m"] });
    expect(scene.submit(task("a"))).toMatchObject([{ ending: { code: "model_not_found" } }]);
    const after = answerProbes(scene, "v", effects);
    expect(lastResult(after)).toEqual({
      type: "listing.result",
      revision: 1,
      listed: ["m"],
      refused: [],
    });
    expect(listedOf(scene)).toEqual([all]);
    expect(offersOf(scene.submit(task("b")))).toEqual(["v .1"]);
  });

  test("costs nobody anything: no task ends, and every receipt is acknowledged", () => {
    const { scene, effects } = joined();
    const after = answerProbes(scene, "v", effects);
    const offered = framesOf(after, "task.offer").map(({ attempt }) => attempt);
    const acknowledged = framesOf(after, "receipt.ack").flatMap(({ attempts }) => attempts);
    expect(endingsOf(after)).toEqual([]);
    expect(acknowledged).toEqual(offered);
    expect(scene.state.tasks.size + scene.state.attempts.size + scene.state.preflights.size).toBe(
      0,
    );
  });

  test("is probed one question at a time, however many slots there are", () => {
    const { scene, effects } = joined([all], 8);
    expect(framesOf(effects, "task.offer")).toHaveLength(1);
    expect(scene.state.attempts.size).toBe(1);
  });

  test("is probed with few small questions, the long one for its context last", () => {
    const { scene, effects } = joined();
    const asked: Asked = [];
    answerProbes(scene, "v", effects, ableEngine, asked);
    expect(asked).toHaveLength(9);
    const lengths = asked.map((request) => JSON.stringify(request).length);
    expect(Math.max(...lengths.slice(0, -1))).toBeLessThan(1_000);
    expect(lengths.at(-1)).toBeGreaterThan(5_000);
  });

  test("of an ability that does not work is listed without it", () => {
    const { scene, effects } = joined();
    const after = answerProbes(scene, "v", effects, deaf);
    expect(lastResult(after)).toMatchObject({
      listed: ["m"],
      struck: [
        { model: "m", ability: "tools", reason: "it does not call a function that it must call" },
      ],
    });
    expect(listedOf(scene)[0]?.abilities).not.toContain("tools");
    const asking = scene.submit(task("a", { demands: ["chat", "tools"] }));
    expect(asking).toMatchObject([{ ending: { code: "unsupported_parameter" } }]);
  });

  test("of a kind that does not work is refused, and probed again after a while", () => {
    const { scene, effects } = joined();
    const mute: FakeEngine = () => ({
      parts: [],
      end: { usage: { prompt: 1, completion: 0, cached: 0 } },
    });
    const after = answerProbes(scene, "v", effects, mute);
    const reason = "chat does not work: it answers nothing";
    expect(lastResult(after)).toMatchObject({ listed: [], refused: [{ model: "m", reason }] });
    expect(scene.tick(299_000)).toEqual([]);
    const again = scene.tick(300_000);
    expect(lastResult(again)).toMatchObject({ checking: ["m"], refused: [] });
    answerProbes(scene, "v", again);
    expect(listedOf(scene)).toEqual([all]);
  });

  test("of a context that is not there is refused", () => {
    const { scene, effects } = joined();
    const short: FakeEngine = (request) => {
      const said = ableEngine(request);
      const usage = { prompt: 500, completion: 2, cached: 0 };
      const isLong = (request.messages?.[0]?.content.length ?? 0) > 4_000;
      return isLong && said !== null ? { ...said, end: { ...said.end, usage } } : said;
    };
    const after = answerProbes(scene, "v", effects, short);
    expect(lastResult(after)?.refused[0]?.reason).toMatch(
      /^its context of 4096 tokens is not there: it read 500 tokens of a prompt of \d+ words$/,
    );
  });

  test("that was borne out is believed when its worker comes back, on the disk as well", () => {
    const { scene, effects } = joined();
    answerProbes(scene, "v", effects);
    const memory = lastingMemory(scene.state.sessions.get("v")?.memory ?? emptyMemory());
    const later = new HubScene({ preflight: true });
    later.nowMs = 60_000;
    later.step({
      kind: "session.opened",
      sessionId: "v",
      workerId: "worker v",
      accountId: "acct",
      region: "weur",
      version: 1,
      epoch: 1,
      memory,
    });
    publish(later, [all]);
    expect(listedOf(later)).toHaveLength(1);
    expect(framesOf(later.send("v", { type: "credit.grant", slots: 1 }), "task.offer")).toEqual([]);
  });

  test("that changes its price only is not probed again, another context is", () => {
    const { scene, effects } = joined();
    answerProbes(scene, "v", effects);
    publish(scene, [{ ...all, input_micros_per_million: 7 }], 2);
    expect(listedOf(scene)[0]?.input_micros_per_million).toBe(7);
    const more = publish(scene, [{ ...all, context_tokens: 8_192 }], 3);
    expect(listedOf(scene)).toEqual([]);
    expect(framesOf(more, "task.offer")).toHaveLength(1);
  });

  test("waits for a slot where its worker is busy with others' tasks", () => {
    const { scene, effects } = joined();
    answerProbes(scene, "v", effects);
    const running = scene.submit(task("a"));
    const other = listing({ model: "other", digest: "e".repeat(64) });
    const published = publish(scene, [all, other], 2);
    expect(framesOf(published, "task.offer")).toEqual([]);
    const attempt = framesOf(running, "task.offer")[0]?.attempt ?? "";
    expect(scene.end("v", attempt, 0).at(-1)).toMatchObject({ ending: { kind: "answered" } });
    const granted = scene.send("v", { type: "credit.grant", slots: 1 });
    expect(framesOf(granted, "task.offer")).toMatchObject([{ model: "other" }]);
  });
});

describe("a worker with one slot that adds a model", () => {
  test("serves a task that waits after each probe, and is probed on between tasks", () => {
    const one = { ...all, slots: 1 };
    const { scene, effects } = joined([one]);
    answerProbes(scene, "v", effects);
    const published = publish(scene, [one, { ...one, model: "new", engine: "vllm" }], 2);
    const waiting = ["a", "b"].flatMap((name) => scene.submit(task(name)));
    expect(waiting).toEqual([]);
    const served: string[] = [];
    let last = published;
    for (let turn = 0; turn < 5; turn++) {
      const offer = framesOf(last, "task.offer").at(-1);
      if (offer === undefined) throw new Error(`nothing is offered in turn ${turn}`);
      served.push(offer.model);
      const said = ableEngine(JSON.parse(offer.body) as ProbeRequest);
      const frame = { ...endFrame("v", offer.attempt, 0, { ...said?.end }), ...said?.end };
      scene.send("v", { ...frame, parts: said?.parts ?? [] });
      last = scene.send("v", { type: "credit.grant", slots: 1 });
    }
    expect(served).toEqual(["new", "m", "new", "m", "new"]);
  });
});

describe("a worker", () => {
  test("that never answers a probe is cancelled after a minute, and its claim refused", () => {
    const { scene, effects } = joined();
    expect(answerProbes(scene, "v", effects, () => null)).toEqual(effects);
    expect(scene.tick(59_000)).toEqual([]);
    const late = scene.tick(60_000);
    expect(framesOf(late, "task.cancel")).toMatchObject([{ reason: "stalled" }]);
    expect(lastResult(late)).toMatchObject({
      refused: [{ model: "m", reason: "it did not answer within 60 s" }],
    });
    const { attempt = "" } = framesOf(effects, "task.offer")[0] ?? {};
    const stopped = scene.end("v", attempt, 0, { outcome: "cancelled" });
    expect(framesOf(stopped, "receipt.ack")).toMatchObject([{ attempts: [attempt] }]);
    expect(scene.state.attempts.size).toBe(0);
  });

  test("that ignores the cancel as well has its probe dropped", () => {
    const { scene } = joined();
    scene.tick(60_000);
    scene.tick(65_000);
    expect(scene.state.attempts.size + scene.state.tasks.size).toBe(0);
  });

  test("that shows chat but not the rest within a minute is listed without the rest", () => {
    const { scene, effects } = joined();
    const once: FakeEngine = (request) => (request.seed === undefined ? ableEngine(request) : null);
    answerProbes(scene, "v", effects, once);
    scene.tick(60_000);
    expect(listedOf(scene)[0]?.abilities).toEqual(["chat"]);
  });

  test("that leaves in mid-preflight leaves nothing behind", () => {
    const { scene } = joined();
    scene.step({ kind: "session.closed", sessionId: "v", reason: "gone" });
    const { tasks, attempts, preflights, sessions } = scene.state;
    expect([tasks.size, attempts.size, preflights.size, sessions.size]).toEqual([0, 0, 0, 0]);
  });

  test("that publishes the same claim again in mid-preflight goes on where it was", () => {
    const { scene, effects } = joined();
    const again = publish(scene, [{ ...all, slots: 5 }], 2);
    expect(framesOf(again, "task.offer")).toEqual([]);
    const after = answerProbes(scene, "v", effects);
    expect(lastResult(after)).toMatchObject({ revision: 2, listed: ["m"] });
    expect(listedOf(scene)[0]?.slots).toBe(5);
  });

  test("that withdraws a claim in mid-preflight has its probe cancelled", () => {
    const { scene, effects } = joined();
    const withdrawn = publish(scene, [], 2);
    expect(framesOf(withdrawn, "task.cancel")).toMatchObject([{ reason: "superseded" }]);
    expect(scene.state.preflights.size).toBe(0);
    const { attempt = "" } = framesOf(effects, "task.offer")[0] ?? {};
    const last = scene.end("v", attempt, 0, { outcome: "cancelled" });
    expect(last.map(({ kind }) => kind)).toEqual(["send"]);
  });

  test("that refuses its probes on and on is not listed", () => {
    const { scene, effects } = joined();
    let all_ = effects;
    for (let round = 0; round < 20; round++) {
      const offer = framesOf(all_, "task.offer").at(-1);
      if (offer === undefined) break;
      const { attempt } = offer;
      all_ = [
        ...scene.send("v", { type: "task.refuse", attempt, reason: "busy" }),
        ...scene.send("v", { type: "credit.grant", slots: 1 }),
      ];
      if (lastResult(all_) !== undefined) break;
    }
    expect(lastResult(all_)?.refused).toEqual([
      { model: "m", reason: "it refuses what it is asked" },
    ]);
  });

  test("that sends what was not asked for is closed like any other", () => {
    const { scene, effects } = joined();
    const { attempt = "" } = framesOf(effects, "task.offer")[0] ?? {};
    const parts = [{ index: 1, tokens: 1, text: "x" }];
    const said = scene.send("v", { type: "task.delta", attempt, seq: 0, parts });
    expect(closesOf(said)).toEqual([`v malformed: ${attempt}: choice 1 was not asked for`]);
  });

  test("with many models has them probed one after the other, each listed as it passes", () => {
    const many = Array.from({ length: 32 }, (_, at) => listing({ model: `m${at}` }));
    const { scene, effects } = joined(many, 4);
    expect(scene.state.attempts.size).toBe(1);
    const asked: Asked = [];
    answerProbes(scene, "v", effects, ableEngine, asked);
    expect(listedOf(scene)).toHaveLength(32);
    expect(asked.length).toBeLessThanOrEqual(64);
  });

  test("with abilities that nobody can check keeps them, and is asked no more for them", () => {
    const params = Array.from({ length: 63 }, (_, at) => `param:p${at}`);
    const { scene, effects } = joined([listing({ abilities: ["chat", ...params] })]);
    const asked: Asked = [];
    answerProbes(scene, "v", effects, ableEngine, asked);
    expect(asked.length).toBeLessThanOrEqual(2);
    expect(listedOf(scene)[0]?.abilities).toHaveLength(64);
  });

  test("without any kind of task is not listed", () => {
    const { effects } = joined([listing({ abilities: ["seed"] })]);
    expect(lastResult(effects)?.refused).toEqual([
      { model: "m", reason: "it claims no kind of task" },
    ]);
  });

  test("whose hub slept in mid-preflight is probed anew", () => {
    const { scene } = joined();
    const before = scene.state.sessions.get("v");
    if (before === undefined) throw new Error("the session is gone");
    const { modelsByAttempt: _, measuredMs: __, ...stored } = before;
    const awake = new HubScene({ preflight: true });
    const session = { ...stored, credits: 1 };
    const restored = awake.step({ kind: "session.restored", session });
    expect(framesOf(restored, "task.offer")).toHaveLength(1);
    answerProbes(awake, "v", restored);
    expect(listedOf(awake)).toEqual([all]);
  });
});

test("whatever a worker does in its preflight, work and memory stay bounded and others are served", () => {
  const acts = fc.array(
    fc.constantFrom("answer", "fail", "refuse", "garbage", "publish", "withdraw", "wait", "task"),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(
      acts,
      fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
      (list, chance) => {
        const { scene, effects } = joined([all, listing({ model: "n" })], 2);
        scene.random = () => chance.next().value ?? 0;
        scene.join("other");
        answerProbes(scene, "other", []);
        let revision = 1;
        let number = 0;
        let last = effects;
        for (const act of list) {
          const offer = framesOf(last, "task.offer").at(-1);
          const attempt = offer?.attempt ?? `${"tsk_".padEnd(26, "z")}.1`;
          scene.nowMs += 500;
          const before = last;
          if (act === "answer") last = answerProbes(scene, "v", last.slice(-3));
          else if (act === "fail") {
            const message = "no";
            const code = "engine_failed";
            last = scene.send("v", { type: "task.fail", attempt, seq: 0, code, message });
          } else if (act === "refuse") {
            last = scene.send("v", { type: "task.refuse", attempt, reason: "busy" });
          } else if (act === "garbage") {
            last = scene.send("v", { ...endFrame("v", attempt, 0), finishes: [] });
          } else if (act === "publish") last = publish(scene, [all], ++revision);
          else if (act === "withdraw") last = publish(scene, [], ++revision);
          else if (act === "wait") last = scene.tick(scene.nowMs + 61_000);
          else {
            last = scene.submit(task(`t${++number}`, { model: "nobody's" }));
            expect(last).toMatchObject([{ ending: { code: "model_not_found" } }]);
          }
          if (framesOf(last, "task.offer").length === 0) last = before;
          scene.send("v", { type: "credit.grant", slots: 1 });
          const { attempts, tasks, preflights, sessions } = scene.state;
          expect(attempts.size).toBeLessThanOrEqual(list.length + 2);
          expect(tasks.size).toBe(attempts.size);
          expect(preflights.size).toBeLessThanOrEqual(sessions.size);
          const session = sessions.get("v");
          if (session === undefined) break;
          expect(session.vetting.claims.length).toBeLessThanOrEqual(2);
          expect(session.listings.length).toBeLessThanOrEqual(session.vetting.claims.length);
        }
        scene.step({ kind: "session.closed", sessionId: "v", reason: "gone" });
        expect(scene.state.tasks.size).toBe(scene.state.attempts.size);
        for (const { session } of scene.state.attempts.values()) expect(session.id).toBe("other");
      },
    ),
    { numRuns: 200 },
  );
});
