import { expect, test } from "vitest";
import { closeCodes } from "../../../shared/protocol/close-codes.ts";
import { OutputTranscript, verifyReceipt } from "../../../shared/protocol/receipt.ts";
import { sha256Hex } from "../../../shared/crypto/bytes.ts";
import { FakeHub, until } from "../../helpers/fake-hub.ts";
import type { Pause } from "../../../worker-agent/serving/availability.ts";
import { runWorker } from "./run-worker.ts";

function chat(script: string): string {
  return JSON.stringify({ model: "words", messages: [{ role: "user", content: script }] });
}

test("a worker proves itself, publishes what it serves and grants its slots", async () => {
  await using hub = await FakeHub.start();
  const account = "acct_abcdefghijklmnopqrstuv";
  await using worker = await runWorker(hub.edge, { config: { account } });
  const session = await hub.serving();
  expect(session.proof).toMatchObject({ worker: worker.worker, account, version: 1 });
  expect(session.proof?.agent).toMatch(/^octo-worker\/\d/);
  const published = await session.next("listing.publish");
  expect(published).toMatchObject({
    revision: 1,
    listings: [{ model: "words", engine: "synthetic", slots: 2, class_ceiling: "public" }],
  });
  expect(session.granted).toBe(2);
  expect(worker.agent.snapshot()).toMatchObject({ connection: "serving", region: "weur" });
});

test("a whole answer made at once takes one delta and one end, with a receipt over it", async () => {
  await using hub = await FakeHub.start({ paceMs: 1_000 });
  await using worker = await runWorker(hub.edge);
  const session = await hub.serving();
  const offer = session.offer({ body: chat("[synthetic tokens=40]") });
  const end = await session.next("task.end");
  await until("the slot is granted again", () => session.granted === 3);
  const types = session.frames.slice(session.frames.findIndex(({ type }) => type === "task.delta"));
  expect(types.map(({ type }) => type)).toEqual(["task.delta", "task.end", "credit.grant"]);
  expect(end).toMatchObject({ outcome: "complete", seq: 1, usage: { completion: 40 } });
  const transcript = new OutputTranscript();
  for (const part of [...session.all("task.delta"), end].flatMap((frame) => frame.parts)) {
    transcript.add(part);
  }
  expect(transcript.tokens).toBe(40);
  expect(await verifyReceipt(end.receipt)).toBe(true);
  expect(end.receipt.receipt).toMatchObject({
    attempt: offer.attempt,
    worker: worker.worker,
    model: offer.digest,
    prompt_hash: await sha256Hex(offer.body),
    output_hash: await transcript.hash(),
    outcome: "complete",
    completion_tokens: 40,
    input_micros_per_million: 20_000,
  });
});

test("a long body comes in parts, and is accepted before they have all come", async () => {
  await using hub = await FakeHub.start();
  await using _worker = await runWorker(hub.edge);
  const session = await hub.serving();
  const body = chat(`${"x".repeat(200_000)} [synthetic text="done"]`);
  const parts = [body.slice(0, 65_536), body.slice(65_536, 131_072), body.slice(131_072)];
  const offer = session.offer({ body: parts[0] ?? "", body_parts: 3, window_bytes: 65_536 });
  await session.next("task.accept");
  for (const [part, text] of parts.entries()) {
    if (part > 0) session.send({ type: "task.body", attempt: offer.attempt, part, text });
  }
  const end = await session.next("task.end");
  expect(end.receipt.receipt.prompt_hash).toBe(await sha256Hex(body));
});

test("the pace of the newest offer is that of what runs already", async () => {
  await using hub = await FakeHub.start();
  await using _worker = await runWorker(hub.edge);
  const session = await hub.serving();
  const body = chat("[synthetic tokens=1000 rate=200]");
  const slow = session.offer({ body, pace_ms: 5_000 });
  const deltas = () => session.all("task.delta").filter(({ attempt }) => attempt === slow.attempt);
  await until("the first token is there", () => deltas().length === 1);
  session.offer({ body, pace_ms: 0 });
  await until("more of it comes before its own pace would have it", () => deltas().length > 3);
});

test("a listing that is refused is told, and grants nothing", async () => {
  await using hub = await FakeHub.start({ refusalOf: () => "too slow" });
  await using worker = await runWorker(hub.edge);
  await until("the refusal is told", () =>
    worker.notices.find((notice) => notice.kind === "listed"),
  );
  expect(worker.agent.snapshot().models[0]).toMatchObject({
    listed: false,
    not_listed: "The edge refused: too slow",
  });
  expect((await hub.dialled()).granted).toBe(0);
});

test("a hub whose floor is above this build stops the worker with a sentence that says to update", async () => {
  await using hub = await FakeHub.start({ version: 9, floor: 8 });
  await using worker = await runWorker(hub.edge);
  const stop = await worker.stopped;
  expect(stop).toMatchObject({ kind: "final", reason: expect.stringContaining("update it with") });
});

test("synthetic answers are never offered to a public network", async () => {
  await using hub = await FakeHub.start({ network: "public" });
  await using worker = await runWorker(hub.edge);
  const stop = await worker.stopped;
  expect(stop).toMatchObject({ kind: "final", reason: expect.stringContaining("synthetic") });
  expect(hub.sessions[0]?.frames).toEqual([]);
});

test.for([
  ["unknown_model", { model: "other" }],
  ["unknown_model", { digest: "0".repeat(64) }],
  ["price_changed", { output_micros_per_million: 1 }],
  ["malformed", { body: "{" }],
  ["malformed", { body: '{"model":"words","messages":[]}' }],
] as const)("an offer is refused as %s and its slot granted again", async ([reason, changes]) => {
  await using hub = await FakeHub.start();
  await using _worker = await runWorker(hub.edge);
  const session = await hub.serving();
  const { attempt } = session.offer(changes);
  expect(await session.next("task.refuse")).toEqual({ type: "task.refuse", attempt, reason });
  await until("the slot is granted again", () => session.granted === 3);
});

test("a cancel stops the engine, and the end counts what was sent", async () => {
  await using hub = await FakeHub.start({ paceMs: 0 });
  await using _worker = await runWorker(hub.edge);
  const session = await hub.serving();
  const { attempt } = session.offer({ body: chat("[synthetic tokens=100000 rate=200]") });
  await session.next("task.delta", 3);
  session.send({ type: "task.cancel", attempt, reason: "consumer_gone" });
  const end = await session.next("task.end");
  const deltas = session.all("task.delta").flatMap((frame) => frame.parts);
  const sent = deltas.reduce((sum, part) => sum + part.tokens, 0);
  expect(end).toMatchObject({ outcome: "cancelled", parts: [], usage: { completion: sent } });
  expect(end.receipt.receipt).toMatchObject({ outcome: "cancelled", completion_tokens: sent });
});

test("no more is sent than the window holds, until it is opened", async () => {
  await using hub = await FakeHub.start({ paceMs: 0 });
  await using _worker = await runWorker(hub.edge);
  const session = await hub.serving();
  const body = chat(`[synthetic text="${"a".repeat(50)}"]`);
  const { attempt } = session.offer({ body, window_bytes: 20 });
  const text = () =>
    session
      .all("task.delta")
      .flatMap((frame) => frame.parts)
      .reduce((sum, part) => sum + (part.text ?? ""), "");
  await until("the window is used up", () => text().length === 20);
  session.send({ type: "task.window", attempt, bytes: 100 });
  const end = await session.next("task.end");
  expect(text() + end.parts.map((part) => part.text).join("")).toBe("a".repeat(50));
});

test("an engine that fails is told by code and sentence, and the worker goes on", async () => {
  await using hub = await FakeHub.start();
  await using worker = await runWorker(hub.edge);
  const session = await hub.serving();
  session.offer({ body: chat("[synthetic fail=out_of_memory]") });
  expect(await session.next("task.fail")).toMatchObject({ code: "out_of_memory", seq: 0 });
  session.offer({ body: chat("[synthetic tokens=3]") });
  await session.next("task.end");
  expect(worker.agent.snapshot().tasks).toEqual({ complete: 1, cancelled: 0, failed: 1 });
});

test("a hub that vanishes in the middle of an answer is dialled again and gets the receipts it missed", async () => {
  await using hub = await FakeHub.start({ paceMs: 0 });
  await using worker = await runWorker(hub.edge);
  const first = await hub.serving();
  const whole = first.offer({ body: chat("[synthetic tokens=3]"), ticket: "whole" });
  await first.next("task.end");
  const broken = first.offer({ body: chat("[synthetic tokens=9999 rate=100]"), ticket: "broken" });
  await first.next("task.delta", 3);
  first.vanish();
  const second = await hub.serving(1);
  await until("both slots are granted", () => second.granted === 2);
  const submitted = await second.next("receipt.submit");
  expect(submitted.entries.map(({ ticket }) => ticket)).toContain("whole");
  const attempts = [whole.attempt, broken.attempt];
  second.send({ type: "receipt.ack", attempts });
  await until("the receipts are let go", () => worker.journal.pendingCount === 0);
  expect(second.frames.some(({ type }) => type.startsWith("task."))).toBe(false);
});

test("a newer connection of the same identity ends this worker for good", async () => {
  await using hub = await FakeHub.start();
  await using worker = await runWorker(hub.edge);
  const session = await hub.serving();
  session.close(closeCodes.replaced, "a newer connection took over");
  expect(await worker.stopped).toEqual({ kind: "final", reason: "a newer connection took over" });
});

test.for([
  ["no JSON", "{", closeCodes.malformed],
  ["an unknown frame", '{"type":"task.unknown"}', closeCodes.malformed],
  ["an oversized frame", `"${"x".repeat(300_000)}"`, closeCodes.frameTooLarge],
] as const)(
  "%s from the hub closes the socket with a code, and the worker dials again",
  async ([, text, code]) => {
    await using hub = await FakeHub.start();
    await using _worker = await runWorker(hub.edge);
    const session = await hub.serving();
    session.sendText(text);
    expect((await session.untilClosed()).code).toBe(code);
    await hub.serving(1);
  },
);

test("a silent hub is left after three heartbeats and dialled again", async () => {
  await using hub = await FakeHub.start({ heartbeatMs: 100, isAnswering: false });
  await using _worker = await runWorker(hub.edge);
  const session = await hub.serving();
  expect((await session.untilClosed()).code).toBe(closeCodes.silent);
  expect(session.pings).toBeGreaterThanOrEqual(2);
  await hub.serving(1);
});

test("a draining worker refuses offers, ends what runs, and says goodbye", async () => {
  await using hub = await FakeHub.start({ paceMs: 0 });
  await using worker = await runWorker(hub.edge);
  const session = await hub.serving();
  session.offer({ body: chat("[synthetic tokens=30 rate=100]") });
  await session.next("task.delta");
  worker.agent.drain();
  await session.next("worker.drain");
  session.offer();
  expect(await session.next("task.refuse")).toMatchObject({ reason: "draining" });
  const end = await session.next("task.end");
  expect(end.outcome).toBe("complete");
  session.send({ type: "receipt.ack", attempts: [end.attempt] });
  expect(await worker.stopped).toEqual({ kind: "drained" });
  expect(await session.untilClosed()).toEqual({ code: 1000, reason: "drained" });
});

test("an answer that outlasts the drain is handed to another worker by a failure", async () => {
  await using hub = await FakeHub.start();
  await using worker = await runWorker(hub.edge, { config: { drainMs: 50 } });
  const session = await hub.serving();
  session.offer({ body: chat("[synthetic hang]") });
  await session.next("task.accept");
  worker.agent.drain();
  expect(await session.next("task.fail")).toMatchObject({ code: "engine_failed" });
  expect(await worker.stopped).toEqual({ kind: "drained" });
});

test("a worker that is paused withdraws its models, ends its answer, and offers them again", async () => {
  await using hub = await FakeHub.start();
  let pause: Pause | null = null;
  await using worker = await runWorker(hub.edge, { pause: () => pause });
  const session = await hub.serving();
  const running = session.offer({ body: chat("[synthetic tokens=400 rate=100]") });
  await session.next("task.delta");
  pause = { sinceMs: 0, untilMs: null };
  expect(await session.next("listing.publish", 1)).toMatchObject({ revision: 2, listings: [] });
  expect(worker.agent.snapshot()).toMatchObject({
    connection: "serving",
    no_work: "You paused it",
  });
  const late = { ...running, attempt: running.attempt.replace(/1$/, "2") };
  session.send(late);
  expect(await session.next("task.refuse")).toMatchObject({ reason: "unknown_model" });
  expect(await session.next("task.end")).toMatchObject({ outcome: "complete" });
  pause = null;
  expect(await session.next("listing.publish", 2)).toMatchObject({
    revision: 3,
    listings: [{ model: "words" }],
  });
  session.offer({ body: chat("[synthetic tokens=2]") });
  await session.next("task.end", 1);
  expect(hub.sessions).toHaveLength(1);
});
