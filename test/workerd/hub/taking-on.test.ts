import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { workersMax } from "../../../edge/billing/account-workers.ts";
import { accountObject } from "../../../edge/objects.ts";
import { base62, sha256, utf8 } from "../../../shared/crypto/bytes.ts";
import { generateSigningKey, type SigningKey } from "../../../shared/crypto/signing.ts";
import { newId } from "../../../shared/ids.ts";
import { closeCodes, closeReasonBytesMax } from "../../../shared/protocol/close-codes.ts";
import type { FakeWorker } from "../../helpers/fake-worker.ts";
import { until } from "../../helpers/until.ts";
import { call, env, newConsumer, refusal } from "../routes/edge-client.ts";
import { newOwner } from "../routes/people.ts";
import { readStream } from "../sse.ts";
import {
  answering,
  chat,
  dial,
  hub,
  newFunded,
  newModel,
  serve,
  storedTask,
  takeOn,
  untilListed,
} from "../world.ts";

const path = "/api/v1/account/workers";

async function newKey(): Promise<SigningKey> {
  return (await generateSigningKey()).key;
}

/** Proves itself for the account it names; gives how that went. */
async function join(key: SigningKey, account: string) {
  const worker = await dial({ key, account });
  worker.send(await worker.proofFor(await worker.first("auth.challenge")));
  return until("the hub has an answer", () => worker.closed ?? worker.all("auth.welcome")[0]);
}

/** A worker that its account has let go is told so; returns what its hub said. */
async function letGo(key: string, worker: FakeWorker) {
  const { status, json } = await call(`DELETE ${path}/${worker.id}`, { key });
  expect({ status, json }).toEqual({
    status: 200,
    json: { object: "account_worker", id: worker.id, removed: true },
  });
  return worker.ending();
}

async function listed(key: string): Promise<Record<string, unknown>[]> {
  return (await call(`GET ${path}`, { key })).json["data"] as Record<string, unknown>[];
}

function sentence(workerId: string): string {
  const words = "the account has not taken this worker on; its owner runs: octo workers add ";
  return `${words}${workerId.startsWith("-") ? "-- " : ""}${workerId}`;
}

describe("a worker that names an account", () => {
  test("is refused before the account has taken it on, with what its owner has to run", async () => {
    const { accountId } = await newConsumer();
    const key = await newKey();
    const refused = { code: closeCodes.refused, reason: sentence(key.publicKey) };
    expect(await join(key, accountId)).toEqual(refused);
    expect(refused.reason.length).toBeLessThanOrEqual(closeReasonBytesMax);
    // Whether there is such an account is nobody's to find out this way.
    expect(await join(key, newId("acct"))).toEqual(refused);
  });

  test("is let in once the account has taken it on, and earns for it", async () => {
    const owner = await newConsumer();
    const key = await newKey();
    await takeOn(owner.accountId, key.publicKey);
    expect(await join(key, owner.accountId)).toMatchObject({ account: owner.accountId });
    // Another worker's place on the list is no way in, nor is the list of another account.
    expect(await join(await newKey(), owner.accountId)).toMatchObject({ code: closeCodes.refused });
    const { accountId: other } = await newConsumer();
    expect(await join(key, other)).toMatchObject({ code: closeCodes.refused });
  });

  test("needs nobody's word where that account is its own", async () => {
    const key = await newKey();
    const digest = await sha256(utf8(key.publicKey));
    const account = `acct_${base62(digest.slice(0, 16), 22)}`;
    expect(await join(key, account)).toMatchObject({ type: "auth.welcome", account });
    // It is nobody else's, though its name is no secret.
    expect(await join(await newKey(), account)).toMatchObject({ code: closeCodes.refused });
  });

  test("is refused for good by a list that outlives the memory of its account", async () => {
    const { accountId } = await newConsumer();
    const [kept, gone] = [await newKey(), await newKey()];
    await takeOn(accountId, kept.publicKey);
    await takeOn(accountId, gone.publicKey);
    await call(`DELETE ${path}/${gone.publicKey}?account_id=${accountId}`);
    await evictDurableObject(accountObject(env, accountId));
    expect(await join(kept, accountId)).toMatchObject({ account: accountId });
    expect(await join(gone, accountId)).toMatchObject({ code: closeCodes.refused });
  });
});

test("a stranger that poses as an own worker is not shown what is kept for own workers", async () => {
  const owner = await newConsumer();
  const model = newModel();
  const stranger = await dial({ account: owner.accountId, listing: { model } });
  stranger.send(await stranger.proofFor(await stranger.first("auth.challenge")));
  await stranger.ending();
  const response = await chat(owner, model, { body: { octo: { include: [owner.accountId] } } });
  expect(response.status).toBeGreaterThanOrEqual(400);
  await response.text();
  expect(stranger.attempts).toEqual([]);
  expect((await call("GET /api/v1/statements/provider", { key: owner.key })).text).not.toContain(
    stranger.id,
  );
});

describe("a worker that is let go", () => {
  test("has its session ended at once, and is refused from then on", async () => {
    const { accountId, token } = await newOwner();
    const worker = await serve(newModel(), { account: accountId });
    const ended = { code: closeCodes.refused, reason: sentence(worker.id) };
    expect(await letGo(token, worker)).toEqual(ended);
    expect(await join(worker.key, accountId)).toEqual(ended);
    expect(await refusal(`DELETE ${path}/${worker.id}`, { key: token })).toMatchObject({
      status: 404,
      message: expect.stringContaining(worker.id),
    });
    await takeOn(accountId, worker.id);
    expect(await join(worker.key, accountId)).toMatchObject({ account: accountId });
  });

  test("is found by a hub that lost its memory meanwhile", async () => {
    const { accountId, token } = await newOwner();
    const worker = await serve(newModel(), { account: accountId });
    await evictDurableObject(hub(), { webSockets: "hibernate" });
    expect(await letGo(token, worker)).toMatchObject({ code: closeCodes.refused });
  });

  test("is off the list even where a hub does not answer, and the call can be made again", async () => {
    const { accountId, token: key } = await newOwner();
    const worker = await serve(newModel(), { account: accountId });
    const sql = (text: string) =>
      runInDurableObject(accountObject(env, accountId), (_, { storage }) => {
        storage.sql.exec(text, worker.id);
      });
    // No hub has such a name, so that nobody answers by it.
    await sql("INSERT INTO worker_hubs VALUES (?, 'nowhere')");
    const failed = { status: 503, message: expect.stringContaining("call this again") };
    const ask = `DELETE ${path}/${worker.id}`;
    expect(await refusal(ask, { key })).toMatchObject(failed);
    expect(await worker.ending()).toMatchObject({ code: closeCodes.refused });
    expect(await listed(key)).toEqual([]);
    expect(await join(worker.key, accountId)).toMatchObject({ code: closeCodes.refused });
    expect(await refusal(ask, { key })).toMatchObject(failed);
    await sql("UPDATE worker_hubs SET hub_id = 'weur:0' WHERE worker_id = ?");
    expect((await call(ask, { key })).status).toBe(200);
    expect((await refusal(ask, { key })).status).toBe(404);
  });

  test("stays out, whatever its join has come to when the word comes", async () => {
    const { accountId, token } = await newOwner();
    const key = await newKey();
    for (let round = 0; round < 8; round++) {
      await takeOn(accountId, key.publicKey);
      const worker = await dial({ key, account: accountId });
      worker.send(await worker.proofFor(await worker.first("auth.challenge")));
      const { status } = await call(`DELETE ${path}/${worker.id}`, { key: token });
      expect(status).toBe(200);
      expect(await worker.ending()).toMatchObject({ code: closeCodes.refused });
    }
  });

  test("keeps what it has for another account, and leaves other workers alone", async () => {
    const [first, second] = [await newOwner(), await newOwner()];
    const key = await newKey();
    await takeOn(first.accountId, key.publicKey);
    const before = await serve(newModel(), { key, account: first.accountId });
    const worker = await serve(newModel(), { key, account: second.accountId });
    await before.ending();
    const beside = await serve(newModel(), { account: first.accountId });
    const { status } = await call(`DELETE ${path}/${worker.id}`, { key: first.token });
    expect(status).toBe(200);
    expect(await join(worker.key, first.accountId)).toMatchObject({ code: closeCodes.refused });
    expect([worker.closed, beside.closed]).toEqual([null, null]);
  });

  test("has the answer that it was to make made by another worker", async () => {
    const { accountId, token } = await newOwner();
    const consumer = await newFunded();
    const model = newModel();
    const worker = await serve(model, { account: accountId, script: (made) => made.accept() });
    await untilListed(model);
    const answered = chat(consumer, model, { stream: true });
    await worker.attempt();
    await serve(model, { script: answering("an ", "answer") });
    await letGo(token, worker);
    const response = await answered;
    expect(await readStream(response)).toMatchObject({ text: "an answer", isDone: true });
    const { attempts } = await storedTask(consumer, response.headers.get("x-octo-task") ?? "");
    expect(attempts[0]).toMatchObject({ workerId: worker.id });
    expect(attempts[0]?.outcome).toBe(`lost: refused: ${sentence(worker.id)}`);
  });
});

describe("the list", () => {
  test("says who took whom on, what they are called, and what the registry knows", async () => {
    const owner = await newOwner();
    const { accountId, token: key } = owner;
    const model = newModel();
    const worker = await serve(model, { account: accountId });
    const away = (await newKey()).publicKey;
    const body = { name: "under the desk" };
    const { status, json } = await call(`PUT ${path}/${away}`, { key, body });
    expect({ status, json }).toMatchObject({
      status: 200,
      json: { id: away, seen: null, ...body },
    });
    const [first, second] = await until("the registry knows the worker's model", async () => {
      const data = await listed(key);
      const seen = data.find(({ id }) => id === worker.id)?.["seen"] as { models: [] } | null;
      return seen !== null && seen.models.length > 0 && data;
    });
    expect(first).toEqual({ ...json });
    expect(second).toMatchObject({
      object: "account_worker",
      id: worker.id,
      name: null,
      seen: { online: true, hub: "weur:0", region: "weur", models: [model] },
    });
    worker.close();
    await until("the registry has it offline", async () => {
      const seen = (await listed(key))[1]?.["seen"] as { online: boolean; models: string[] };
      return !seen.online && seen.models.length === 0;
    });
  });

  test("changes a name by saying it again, and nothing by not saying it", async () => {
    const { token: key } = await newOwner();
    const id = (await newKey()).publicKey;
    const say = async (body: object) => (await call(`PUT ${path}/${id}`, { key, body })).json;
    const first = await say({});
    expect(first).toMatchObject({ name: null });
    expect(await say({ name: "a" })).toEqual({ ...first, name: "a" });
    expect(await say({})).toEqual({ ...first, name: "a" });
    expect(await say({ name: null })).toEqual(first);
    expect(await listed(key)).toEqual([first]);
  });

  test("comes in pages that miss nobody and show nobody twice", async () => {
    const { token: key } = await newOwner();
    const ids = new Set<string>();
    for (let at = 0; at < 5; at++) {
      const id = (await newKey()).publicKey;
      await call(`PUT ${path}/${id}`, { key, body: {} });
      ids.add(id);
    }
    const found: unknown[] = [];
    let cursor: unknown = null;
    do {
      const at = cursor === null ? "" : `&cursor=${String(cursor)}`;
      const { json } = await call(`GET ${path}?limit=2${at}`, { key });
      found.push(...(json["data"] as { id: string }[]).map(({ id }) => id));
      cursor = json["next_cursor"];
    } while (cursor !== null);
    expect(found).toHaveLength(5);
    expect(new Set(found)).toEqual(ids);
  });

  test("shows nothing of what a worker does for another account", async () => {
    const [owner, other] = [await newOwner(), await newOwner()];
    const worker = await serve(newModel(), { account: owner.accountId });
    await until("the registry knows the worker", async () => {
      return (await listed(owner.token))[0]?.["seen"] !== null;
    });
    const say = { key: other.token, body: {} };
    const { json } = await call(`PUT ${path}/${worker.id}`, say);
    expect(json).toMatchObject({ id: worker.id, seen: null });
    expect(await listed(other.token)).toMatchObject([{ seen: null }]);
    const query = `?account_id=${owner.accountId}`;
    for (const ask of [`GET ${path}${query}`, `DELETE ${path}/${worker.id}${query}`]) {
      expect(await refusal(ask, { key: other.token })).toMatchObject({ status: 404 });
    }
    await call(`DELETE ${path}/${worker.id}`, { key: other.token });
    expect(worker.closed).toBeNull();
  });

  test("has an end, and a place on it can be given to another", async () => {
    const { accountId, token: key } = await newOwner();
    await runInDurableObject(accountObject(env, accountId), (_, { storage }) => {
      storage.sql.exec(
        `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
           INSERT INTO workers SELECT printf('%043d', i), NULL, 'k', i FROM n`,
        workersMax,
      );
    });
    const id = (await newKey()).publicKey;
    const full = await refusal(`PUT ${path}/${id}`, { key, body: {} });
    expect(full).toMatchObject({
      status: 409,
      code: "conflict",
      message: `Cannot take on worker ${id}: the account has 10000; remove one`,
    });
    const one = "1".padStart(43, "0");
    const again = await call(`PUT ${path}/${one}`, { key, body: { name: "still there" } });
    expect(again.json).toMatchObject({ name: "still there" });
    expect((await call(`DELETE ${path}/${one}`, { key })).status).toBe(200);
    expect((await call(`PUT ${path}/${id}`, { key, body: {} })).status).toBe(200);
  });

  test.each([
    ["an id that is no key", "short", {}, undefined],
    ["a name with a control character", "A".repeat(43), { name: "a\nb" }, "name"],
    ["a field that is not there", "A".repeat(43), { account: "acct_1" }, "account"],
  ])("%s is refused", async (_, id, body, param) => {
    const { token: key } = await newOwner();
    const error = await refusal(`PUT ${path}/${id}`, { key, body });
    expect(error).toMatchObject({ status: 400, ...(param === undefined ? {} : { param }) });
  });
});
