import { readFile } from "node:fs/promises";
import { Ajv2020 } from "ajv/dist/2020.js";
import { beforeAll, describe, expect, test } from "vitest";
import type { HubEffect } from "../../../edge/hub/hub-state.ts";
import { decodeDown, decodeUp } from "../../../shared/protocol/codec.ts";
import type { DownFrame, UpFrame } from "../../../shared/protocol/frames.ts";
import { endFrame, framesOf, howEnded, HubScene, listing, task, taskId } from "./hub-scene.ts";

/*
 * Version N of the edge beside N−1 of a worker, and the reverse: the frozen text of version 1 is
 * what the old side knows.
 */

interface Frozen {
  readonly up: object;
  readonly down: object;
}

/** Messages as version 1 sent them, one of every kind. */
let messages: { readonly up: readonly UpFrame[]; readonly down: readonly DownFrame[] };
let isUp: (frame: unknown) => boolean;
let isDown: (frame: unknown) => boolean;

beforeAll(async () => {
  const read = async (name: string): Promise<unknown> =>
    JSON.parse(await readFile(new URL(`../../shared/protocol/${name}`, import.meta.url), "utf8"));
  const frozen = (await read("version-1.json")) as Frozen;
  messages = (await read("version-1-messages.json")) as typeof messages;
  // Written as drafts of 2020-12 allow, and closed: the old side is to meet nothing it never knew.
  const ajv = new Ajv2020({ strict: false });
  isUp = ajv.compile(closed(frozen.up));
  isDown = ajv.compile(closed(frozen.down));
});

/** A schema that takes no field it does not name. */
function closed(schema: object): object {
  return JSON.parse(JSON.stringify(schema), (_, value: unknown) => {
    const isOpen = typeof value === "object" && value !== null && "properties" in value;
    return isOpen ? { ...value, additionalProperties: false } : value;
  }) as object;
}

const able = listing({ abilities: ["chat", "forced_prefix"] });

function sentTo(name: string, effects: readonly HubEffect[]): DownFrame[] {
  return effects.flatMap((effect) =>
    effect.kind === "send" && effect.sessionId === name ? [effect.frame] : [],
  );
}

describe("a worker of the version before", () => {
  test("is served a whole task in frames that it knows", () => {
    const scene = new HubScene();
    const sent: DownFrame[] = [];
    const note = (effects: HubEffect[]) => {
      sent.push(...sentTo("old", effects));
      return effects;
    };
    note(scene.open("old", "old", 0, 1));
    note(scene.send("old", { type: "listing.publish", revision: 1, listings: [able] }));
    note(scene.send("old", { type: "credit.grant", slots: 1 }));
    const attempt = `${taskId("a")}.1`;
    const offered = note(scene.submit(task("a", { body: '"é"'.repeat(50_000) })));
    expect(framesOf(offered, "task.body").length).toBeGreaterThan(0);
    note(scene.delta("old", attempt, 0, "abc".repeat(12_000)));
    note(scene.step({ kind: "consumer.reads", taskId: taskId("a") }));
    expect(howEnded(note(scene.send("old", endFrame("old", attempt, 1))))).toBe("answered");
    note(scene.send("old", { type: "credit.grant", slots: 1 }));
    note(scene.submit(task("b")));
    note(scene.step({ kind: "consumer.gone", taskId: taskId("b") }));
    const kinds = new Set(sent.map(({ type }) => type));
    for (const kind of [
      "listing.result",
      "task.offer",
      "task.body",
      "task.window",
      "task.cancel",
    ]) {
      expect([...kinds]).toContain(kind);
    }
    for (const frame of sent) expect([frame, isDown(frame)]).toEqual([frame, true]);
  });

  test("is followed by a new one, from its text alone", () => {
    const scene = new HubScene();
    scene.open("old", "old", 0, 1);
    scene.send("old", { type: "listing.publish", revision: 1, listings: [able] });
    scene.send("old", { type: "credit.grant", slots: 1 });
    scene.submit(task("a"));
    scene.join("new", { listings: [able] });
    scene.delta("old", `${taskId("a")}.1`, 0, "Once");
    const effects = scene.step({ kind: "session.closed", sessionId: "old", reason: "" });
    const [prefix] = framesOf(effects, "task.body");
    expect(JSON.parse(prefix?.text ?? "{}")).toEqual({ text: "Once", token_ids: null });
  });

  test("is understood in everything it may say", () => {
    expect(new Set(messages.up.map(({ type }) => type)).size).toBe(10);
    for (const frame of messages.up) {
      expect([frame, isUp(frame)]).toEqual([frame, true]);
      expect(decodeUp(JSON.stringify(frame))).toEqual({ kind: "frame", frame });
    }
  });
});

describe("an edge of the version before", () => {
  test("is understood by a new worker in everything it may say", () => {
    expect(new Set(messages.down.map(({ type }) => type)).size).toBe(8);
    for (const frame of messages.down) {
      expect([frame, isDown(frame)]).toEqual([frame, true]);
      expect(decodeDown(JSON.stringify(frame))).toEqual({ kind: "frame", frame });
    }
  });
});
