import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  changeControl,
  controlPath,
  readControl,
} from "../../../worker-agent/state/control-file.ts";
import { ControlWatch } from "../../../worker-agent/state/control-watch.ts";
import { until } from "../../helpers/until.ts";
import { scratchFolder } from "../models/scratch-folder.ts";

const nothing = { v: 1, pause: null, stop: null };
const owner = { pid: 1, started: "7" };
const paused = { since_ms: 1, until_ms: 2 };

test("nothing is asked where nobody has asked", async () => {
  await using scratch = await scratchFolder();
  expect(await readControl(scratch.path)).toEqual(nothing);
});

test("what is asked is changed one thing at a time", async () => {
  await using scratch = await scratchFolder();
  const folder = scratch.path;
  await changeControl(folder, { pause: paused });
  await changeControl(folder, { stop: { pid: 7, started: "1", now: true } });
  expect(await readControl(folder)).toEqual({
    v: 1,
    pause: paused,
    stop: { pid: 7, started: "1", now: true },
  });
  await changeControl(folder, { pause: null, stop: null });
  expect(await readControl(folder)).toEqual(nothing);
});

test("a pause and a stop that are asked for at once are both heard", async () => {
  await using scratch = await scratchFolder();
  const folder = scratch.path;
  const stop = { pid: 7, started: "1", now: true };
  for (let round = 1; round <= 30; round++) {
    const pause = { since_ms: round, until_ms: null };
    const changes = [{ pause }, { stop: { ...stop, pid: round } }, { pause }];
    await Promise.all(changes.map((change) => changeControl(folder, change)));
    expect(await readControl(folder)).toEqual({ v: 1, pause, stop: { ...stop, pid: round } });
  }
  expect(readdirSync(folder)).toHaveLength(2);
});

test("a stop that cannot be understood stops nobody, and the pause is heard", async () => {
  await using scratch = await scratchFolder();
  const folder = scratch.path;
  await changeControl(folder, { pause: paused, stop: { ...owner, now: true } });
  writeFileSync(join(folder, "stop.json"), "{");
  expect(await readControl(folder)).toEqual({ ...nothing, pause: paused });
});

test.for(["", "{", "null", '{"v":2}', '{"v":1,"pause":{"since_ms":"x"},"stop":null}'])(
  "a file that says %j asks for nothing that can be understood, and is written anew",
  async (text) => {
    await using scratch = await scratchFolder();
    const folder = scratch.path;
    writeFileSync(controlPath(folder), text);
    expect(await readControl(folder)).toBeNull();
    await changeControl(folder, { pause: paused });
    expect(await readControl(folder)).toEqual({ ...nothing, pause: paused });
  },
);

test("a worker knows from its start that it is paused, and hears when it is resumed", async () => {
  await using scratch = await scratchFolder();
  const folder = scratch.path;
  await changeControl(folder, { pause: paused });
  await using watch = await ControlWatch.start(folder, owner, () => undefined);
  expect(watch.pause).toEqual({ sinceMs: 1, untilMs: 2 });
  await changeControl(folder, { pause: null });
  await until("it is resumed", () => watch.pause === null);
});

test("a paused worker stays paused when its file breaks, and says so once", async () => {
  await using scratch = await scratchFolder();
  const folder = scratch.path;
  const said: string[] = [];
  await changeControl(folder, { pause: paused });
  await using watch = await ControlWatch.start(folder, owner, (_level, message) =>
    said.push(message),
  );
  writeFileSync(controlPath(folder), "{");
  await until("it is noticed", () => said.length > 0);
  expect(watch.pause).toEqual({ sinceMs: 1, untilMs: 2 });
  await changeControl(folder, { pause: null });
  await until("it is resumed", () => watch.pause === null);
  expect(said).toEqual(["Cannot read what is asked of this worker"]);
});

test("a stop is for the process it names, and forgotten once that has ended", async () => {
  await using scratch = await scratchFolder();
  const folder = scratch.path;
  await changeControl(folder, { pause: paused, stop: { ...owner, started: "6", now: true } });
  const watch = await ControlWatch.start(folder, owner, () => undefined);
  expect([watch.leave.aborted, watch.hurry.aborted]).toEqual([false, false]);
  await changeControl(folder, { stop: { ...owner, now: false } });
  await until("it is to leave", () => watch.leave.aborted);
  expect(watch.hurry.aborted).toBe(false);
  await changeControl(folder, { stop: { ...owner, now: true } });
  await until("it is to hurry", () => watch.hurry.aborted);
  await watch[Symbol.asyncDispose]();
  expect(await readControl(folder)).toEqual({ ...nothing, pause: paused });
});
