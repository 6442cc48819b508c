import { runDurableObjectAlarm } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import type { HubDigest } from "../../../edge/directory/digest.ts";
import { directoryObject } from "../../../edge/objects.ts";
import { closeCodes, spreadMsOf } from "../../../shared/protocol/close-codes.ts";
import { until } from "../../helpers/until.ts";
import { call, env } from "../routes/edge-client.ts";
import {
  chat,
  dial,
  hub,
  newFunded,
  newModel,
  serve,
  untilListed,
  untilSettled,
} from "../world.ts";

const directory = () => directoryObject(env, "weur");

/** Where a dial ends up. */
async function hubOf(lastHub: string | null = null): Promise<string> {
  const worker = await dial({}, lastHub);
  const challenge = await worker.first("auth.challenge");
  worker.close();
  return challenge.hub;
}

/** A hub of another test's world, as its digest tells of it. */
async function tell(hubId: string, changed: Partial<HubDigest>): Promise<void> {
  const digest = { hubId, region: "weur", atMs: Date.now(), sessionsMax: 256, models: [] } as const;
  await directory().publish({ ...digest, sessions: 0, ...changed });
}

describe("a worker that comes back", () => {
  test("asks for the hub it had, and gets it while it is there", async () => {
    await serve(newModel());
    await tell("weur:5", { sessions: 7 });
    expect(await hubOf("weur:5")).toBe("weur:5");
    await tell("weur:5", { atMs: Date.now() + 1 });
  });

  test.each(["weur:77777777", "enam:0", "weur:0;", "%00", "x".repeat(300)])(
    "is put where there is room, if it asks for %j",
    async (lastHub) => {
      expect(await hubOf(lastHub)).toMatch(/^weur:\d$/);
    },
  );
});

describe("an edge that is drained", () => {
  const drain = (body: object) => call("POST /api/v1/hubs/drain", { body });

  test("sends idle workers away with a spread, and the rest after their answers", async () => {
    const model = newModel();
    const consumer = await newFunded();
    const idle = await serve(newModel());
    const busy = await serve(model);
    await untilListed(model);
    const answered = chat(consumer, model);
    const attempt = await busy.attempt();

    const { status, json } = await drain({ region: "weur" });
    expect(status).toBe(200);
    expect(json["data"]).toContainEqual({
      object: "hub",
      id: "weur:0",
      workers: expect.any(Number) as number,
    });
    const { code, reason } = await idle.ending();
    expect(code).toBe(closeCodes.restart);
    expect(spreadMsOf(reason)).toBeGreaterThan(0);
    expect(busy.closed).toBeNull();
    // The hub has no room for others meanwhile, and the front Worker finds one that has.
    expect(await hubOf("weur:0")).toBe("weur:1");

    await attempt.answer("to ", "the end");
    expect(await (await answered).json()).toMatchObject({
      choices: [{ message: { content: "to the end" } }],
    });
    expect((await busy.ending()).code).toBe(closeCodes.restart);
    await untilSettled(consumer);
  });

  test("sends busy workers away once their time is over", async () => {
    const model = newModel();
    const consumer = await newFunded();
    const worker = await serve(model, { script: (attempt) => attempt.delta("half an ") });
    await untilListed(model);
    const answered = chat(consumer, model, { stream: true });
    await worker.attempt();
    await drain({ within_ms: 0 });
    expect((await worker.ending()).code).toBe(closeCodes.restart);
    await (await answered).body?.cancel();
  });

  test("is asked only by operators", async () => {
    const { key } = await newFunded();
    const { status } = await call("POST /api/v1/hubs/drain", { body: {}, key });
    expect(status).toBe(403);
  });
});

test("a hub that is empty leaves the directory, and lets its alarm be", async () => {
  const worker = await serve(newModel());
  const { hub: hubId } = await worker.first("auth.challenge");
  worker.close();
  await until("the directory has forgotten the hub", async () => {
    const digests = (await directory().digests()) as HubDigest[];
    return digests.every((digest) => digest.hubId !== hubId);
  });
  await runDurableObjectAlarm(hub());
  expect(await runDurableObjectAlarm(hub())).toBe(false);
});
