import { describe, expect, test } from "vitest";
import { generateSigningKey } from "../../../shared/crypto/signing.ts";
import { closeCodes } from "../../../shared/protocol/close-codes.ts";
import { encodeFrame } from "../../../shared/protocol/codec.ts";
import { frameBytesMax } from "../../../shared/protocol/limits.ts";
import { upFrames } from "../../helpers/frames.ts";
import { until } from "../../helpers/until.ts";
import { call } from "../routes/edge-client.ts";
import { dial, newModel, serve, untilListed } from "../world.ts";

describe("a worker proves itself", () => {
  test("a proven worker is told its session, its account and its region", async () => {
    const worker = await dial();
    await worker.prove();
    const welcome = await worker.first("auth.welcome");
    expect(welcome).toMatchObject({ region: "weur", version: 2 });
    expect(welcome.account).toMatch(/^acct_[0-9A-Za-z]{22}$/);
  });

  test("every socket is challenged with a nonce of its own", async () => {
    const [a, b] = await Promise.all([dial(), dial()]);
    const challenges = [await a.first("auth.challenge"), await b.first("auth.challenge")];
    expect(new Set(challenges.map(({ nonce }) => nonce)).size).toBe(2);
  });

  test("a worker comes back to the same account of its own", async () => {
    const { key } = await generateSigningKey();
    const accounts: string[] = [];
    for (let visit = 0; visit < 2; visit++) {
      const worker = await dial({ key });
      await worker.prove();
      accounts.push((await worker.first("auth.welcome")).account);
      worker.close();
    }
    expect(accounts[0]).toBe(accounts[1]);
  });

  test("GET /worker without an upgrade says how workers connect", async () => {
    const { status, text } = await call("GET /worker", { key: null });
    expect(status).toBe(426);
    expect(text).toContain("octo-worker");
  });
});

describe("a stranger at the hub's socket is closed with a code that says why", () => {
  test.each(Object.values(upFrames).filter(({ type }) => type !== "auth.prove"))(
    "$type before a proof",
    async (frame) => {
      const worker = await dial();
      worker.send(frame);
      expect(await worker.ending()).toMatchObject({ code: closeCodes.unproven });
    },
  );

  test("a signature by another key", async () => {
    const worker = await dial();
    const { key: other } = await generateSigningKey();
    const signature = await other.sign("octo-auth-v1", "anything");
    worker.send(await worker.proofFor(await worker.first("auth.challenge"), { signature }));
    expect(await worker.ending()).toEqual({
      code: closeCodes.unproven,
      reason: "the signature does not prove the identity",
    });
  });

  test("a proof made for another socket, hub or origin", async () => {
    const [worker, other] = await Promise.all([dial(), dial()]);
    const challenge = await worker.first("auth.challenge");
    const { nonce } = await other.first("auth.challenge");
    worker.send(await worker.proofFor({ ...challenge, nonce }));
    other.send(await other.proofFor({ ...challenge, nonce, hub: "weur:1" }));
    expect((await worker.ending()).code).toBe(closeCodes.unproven);
    expect((await other.ending()).code).toBe(closeCodes.unproven);
  });

  test("another worker's identity under one's own signature", async () => {
    const worker = await dial();
    const { key } = await generateSigningKey();
    const proof = await worker.proofFor(await worker.first("auth.challenge"));
    worker.send({ ...proof, worker: key.publicKey });
    expect((await worker.ending()).code).toBe(closeCodes.unproven);
  });

  test("a protocol version this edge does not speak", async () => {
    const worker = await dial();
    worker.send(await worker.proofFor(await worker.first("auth.challenge"), { version: 99 }));
    expect(await worker.ending()).toEqual({
      code: closeCodes.versionTooOld,
      reason: "this edge speaks versions 1 to 2; update octo-worker",
    });
  });

  test("a second frame while the proof is being judged", async () => {
    const worker = await dial();
    const proof = await worker.proofFor(await worker.first("auth.challenge"));
    worker.send(proof);
    worker.send(proof);
    expect((await worker.ending()).code).toBe(closeCodes.unproven);
  });

  test("a false proof with a second frame behind it disturbs nobody else", async () => {
    const model = newModel();
    const neighbour = await serve(model);
    const worker = await dial();
    const { key: other } = await generateSigningKey();
    const signature = await other.sign("octo-auth-v1", "anything");
    const proof = await worker.proofFor(await worker.first("auth.challenge"), { signature });
    worker.send(proof);
    worker.send(proof);
    expect((await worker.ending()).code).toBe(closeCodes.unproven);
    await untilListed(model);
    expect(neighbour.closed).toBeNull();
  });

  test("more behind the proof, in the same message", async () => {
    const worker = await dial();
    const proof = await worker.proofFor(await worker.first("auth.challenge"));
    worker.sendText(`${encodeFrame(proof)}\n${encodeFrame({ type: "worker.drain" })}`);
    expect((await worker.ending()).code).toBe(closeCodes.unproven);
  });

  test("a message of more than 4 KiB before it has proved itself", async () => {
    const worker = await dial();
    worker.sendText(" ".repeat(4 * 1024 + 1));
    expect((await worker.ending()).code).toBe(closeCodes.frameTooLarge);
  });
});

describe("a proven worker that breaks the rules is closed with a code that says why", () => {
  test("a message over 256 KiB", async () => {
    const worker = await serve(newModel());
    worker.sendText(" ".repeat(frameBytesMax + 1));
    expect(await worker.ending()).toMatchObject({ code: closeCodes.frameTooLarge });
  });

  test.each([
    "{",
    "[]",
    '{"type":"credit.grant","slots":-5}',
    '{"type":"credit.grant","slots":1e99}',
    '{"type":"listing.publish","revision":2,"listings":[{"model":"x"}]}',
    "[".repeat(100_000),
  ])("%.60j", async (text) => {
    const worker = await serve(newModel());
    worker.sendText(text);
    expect(await worker.ending()).toMatchObject({ code: closeCodes.malformed });
  });

  test("bytes in the place of text", async () => {
    const worker = await serve(newModel());
    worker.sendText(new TextEncoder().encode('{"type":"worker.drain"}') as unknown as string);
    expect((await worker.ending()).code).toBe(closeCodes.malformed);
  });

  test("a second proof", async () => {
    const worker = await serve(newModel());
    worker.send(await worker.proofFor(await worker.first("auth.challenge")));
    expect((await worker.ending()).code).toBe(closeCodes.malformed);
  });

  test("a flood of control frames", async () => {
    const worker = await serve(newModel());
    for (let sent = 0; sent < 120; sent++) worker.send({ type: "worker.drain" });
    expect((await worker.ending()).code).toBe(closeCodes.flood);
  });
});

describe("a proven worker", () => {
  test("a ping is answered without waking the hub, and counts as life", async () => {
    const worker = await serve(newModel());
    worker.sendText("ping");
    await until("the hub answers the ping", () => worker.texts.includes("pong"));
  });

  test("of two connections of one identity the newer serves, and the older is told why", async () => {
    const { key } = await generateSigningKey();
    const model = newModel();
    const older = await serve(model, { key });
    const newer = await serve(model, { key });
    expect(await older.ending()).toEqual({
      code: closeCodes.replaced,
      reason: "a newer connection with this identity took over",
    });
    await untilListed(model);
    expect(newer.closed).toBeNull();
  });

  test("a model listed twice, and the synthetic engine, are judged one by one", async () => {
    const model = newModel();
    const worker = await dial({ listing: { model, engine: "synthetic" } });
    await worker.prove();
    worker.publish([worker.listing, { ...worker.listing, slots: 9 }]);
    expect(await worker.first("listing.result")).toMatchObject({
      revision: 1,
      // This network is local.
      listed: [model],
      refused: [{ model, reason: "the model is listed twice" }],
    });
  });

  test("a worker that leaves takes its model with it", async () => {
    const model = newModel();
    const worker = await serve(model);
    await untilListed(model);
    worker.close();
    await until("the model is gone", async () => {
      return (await call(`GET /v1/models/${model}`)).status === 404;
    });
    const { json } = await call(`GET /api/v1/listings?model=${model}`);
    expect(json["data"]).toEqual([]);
  });
});
