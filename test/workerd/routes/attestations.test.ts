import { beforeAll, describe, expect, test } from "vitest";
import { app } from "../../../edge/app.ts";
import { generateSigningKey, type SigningKey } from "../../../shared/crypto/signing.ts";
import { type Attestation, attestationText } from "../../../shared/verification.ts";
import { newId } from "../../../shared/ids.ts";
import { recordSettlements } from "../../../edge/db/ledger/tasks.ts";
import { sampleAttempt, sampleTask } from "../../edge/db/samples.ts";
import { env, openDatabase, operatorKey } from "./edge-client.ts";
import { newOwner } from "./people.ts";

let attester: SigningKey;
let auditor: SigningKey;
let owner: Awaited<ReturnType<typeof newOwner>>;

beforeAll(async () => {
  attester = (await generateSigningKey()).key;
  auditor = (await generateSigningKey()).key;
  owner = await newOwner();
});

/** Calls an edge that trusts one key for each level, or those it is told. */
async function callTrusting(
  route: string,
  { key = owner.token, body, trusted }: { key?: string; body?: object; trusted?: string } = {},
) {
  const [method = "", path = ""] = route.split(" ");
  const both = `kyc:${attester.publicKey}, certified:${auditor.publicKey}`;
  const execution = { waitUntil() {}, passThroughOnException() {} } as unknown as ExecutionContext;
  const response = await app.request(
    `https://edge.test${path}`,
    {
      method,
      headers: { authorization: `Bearer ${key}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    },
    { ...env, OCTO_ATTESTERS: trusted ?? both },
    execution,
  );
  return { status: response.status, json: await response.json<Record<string, unknown>>() };
}

async function attest(
  by: SigningKey,
  change: Partial<Attestation> = {},
): Promise<Attestation & { signature: string }> {
  const attestation: Attestation = {
    account_id: owner.accountId,
    level: "kyc",
    issuer: by.publicKey,
    issued_at: new Date(Date.now() - 1_000).toISOString(),
    expires_at: new Date(Date.now() + 3_600_000).toISOString(),
    ...change,
  };
  const signature = await by.sign("octo-attestation-v1", attestationText(attestation));
  return { ...attestation, signature };
}

async function levelNow(key = owner.token, trusted?: string) {
  const options = trusted === undefined ? { key } : { key, trusted };
  return (await callTrusting("GET /api/v1/account", options)).json["verification"];
}

const path = "POST /api/v1/attestations";

describe("attestations", () => {
  test("what a trusted attester signs is the account's level until it is revoked", async () => {
    expect(await levelNow()).toBe("anonymous");
    const kyc = await attest(attester);
    const recorded = await callTrusting(path, { body: kyc });
    expect(recorded.status).toBe(201);
    expect(recorded.json).toMatchObject({ level: "kyc", counts: true, revoked_at: null });
    expect((await callTrusting(path, { body: kyc })).json).toEqual(recorded.json);
    expect(await levelNow()).toBe("kyc");
    const certified = await attest(auditor, { level: "certified" });
    const second = await callTrusting(path, { body: certified });
    expect(await levelNow()).toBe("certified");
    const gone = `DELETE /api/v1/attestations/${String(second.json["id"])}`;
    expect((await callTrusting(gone)).status).toBe(403);
    expect((await callTrusting(gone, { key: operatorKey })).status).toBe(200);
    expect(await levelNow()).toBe("kyc");
    const again = await callTrusting(path, { body: certified });
    expect(again.json).toMatchObject({ counts: false, revoked_at: expect.any(String) });
    expect(await levelNow()).toBe("kyc");
    const list = await callTrusting("GET /api/v1/attestations");
    expect(list.json["data"]).toEqual([again.json, recorded.json]);
    // Whom the operator trusts no more has said nothing, and each is trusted for one level.
    expect(await levelNow(owner.token, "")).toBe("anonymous");
    expect(await levelNow(owner.token, `certified:${attester.publicKey}`)).toBe("anonymous");
  });

  test.each([
    ["issuer", "a stranger's", async () => attest((await generateSigningKey()).key)],
    ["issuer", "another level than is trusted", () => attest(attester, { level: "certified" })],
    ["expires_at", "one that has expired", () => attest(attester, { expires_at: past() })],
    ["issued_at", "one of the future", () => attest(attester, { issued_at: inDays(1) })],
    ["expires_at", "one of over two years", () => attest(attester, { expires_at: inDays(740) })],
    ["signature", "one that another signed", () => attest(auditor, { issuer: attester.publicKey })],
    ["signature", "one that was altered", altered],
    ["signature", "one signed for another purpose", otherDomain],
    [
      "level",
      "a level of one's own facts",
      async () => ({ ...(await attest(attester)), level: "verified" }),
    ],
  ] as const)("refused by %s is %s", async (param, _, make) => {
    const { status, json } = await callTrusting(path, { body: await make() });
    expect([status, json["error"]]).toMatchObject([400, { code: "invalid_request", param }]);
  });

  test("what is signed of another account can be handed in by its own, or by operators", async () => {
    const other = await newOwner();
    const body = await attest(attester, { account_id: other.accountId });
    expect((await callTrusting(path, { body })).status).toBe(404);
    expect((await callTrusting(path, { body, key: operatorKey })).status).toBe(201);
    expect(await levelNow(other.token)).toBe("kyc");
  });
});

test("an account that is a month old and has a history is verified", async () => {
  const { accountId, token } = await newOwner();
  const day = 86_400_000;
  await using db = openDatabase();
  await db.migrate("make a history", [
    `update accounts set created_at = ${Date.now() - 31 * day} where id = '${accountId}'`,
    `insert into deposits (id, account_id, asset, amount_micros, rail, reference, created_at)
     values ('d-${accountId}', '${accountId}', 'CREDIT', 9999999, 'card', 'x', 1)`,
  ]);
  expect(await levelNow(token)).toBe("anonymous");
  await db.migrate("pay in", [
    `insert into deposits (id, account_id, asset, amount_micros, rail, reference, created_at)
     values ('e-${accountId}', '${accountId}', 'CREDIT', 1, 'card', 'x', 1),
     ('f-${accountId}', '${accountId}', 'OCTO', 1, 'card', 'x', 1)`,
  ]);
  expect(await levelNow(token)).toBe("verified");
});

test("a hundred tasks, asked for and served together, are a history", async () => {
  const { accountId, token } = await newOwner();
  const workerId = newId("key");
  const others = Array.from({ length: 40 }, () => newId("tsk"));
  const own = Array.from({ length: 59 }, () => newId("tsk"));
  const settled = (id: string, account: string) => sampleTask({ id, accountId: account });
  const served = (taskId: string, outcome: string) => sampleAttempt({ taskId, workerId, outcome });
  await using db = openDatabase();
  await db.migrate("age the account and its worker", [
    `update accounts set created_at = 1 where id = '${accountId}'`,
    `insert into workers (id, account_id, region, agent_version, hub, online, session_epoch,
     first_seen_at, last_seen_at)
     values ('${workerId}', '${accountId}', 'weur', '1', 'h', 0, 1, 1, 1)`,
  ]);
  const lost = newId("tsk");
  await recordSettlements(db, {
    tasks: [
      ...[...others, lost].map((id) => settled(id, "acct_other")),
      ...own.map((id) => settled(id, accountId)),
      { ...settled(newId("tsk"), accountId), state: "void" },
    ],
    attempts: [...others.map((id) => served(id, "complete")), served(lost, "lost")],
    transfers: [],
    receipts: [],
  });
  expect(await levelNow(token)).toBe("anonymous");
  const last = { tasks: [settled(newId("tsk"), accountId)], attempts: [] };
  await recordSettlements(db, { ...last, transfers: [], receipts: [] });
  expect(await levelNow(token)).toBe("verified");
});

test("an account with OCTO at stake is verified at once, as long as it is there", async () => {
  const { accountId, token } = await newOwner();
  const move = (id: string, debit: string, credit: string) =>
    `insert into transfers (id, kind, debit_account, credit_account, asset, amount_micros,
     created_at)
     values ('${id}-${accountId}', 'stake', '${debit}', '${credit}', 'OCTO', 1000000000, 1)`;
  await using db = openDatabase();
  const stake = `${accountId}:stake`;
  await db.migrate("stake", [move("s", "system:mint", stake)]);
  expect(await levelNow(token)).toBe("verified");
  await db.migrate("take it back", [move("t", stake, "system:mint")]);
  expect(await levelNow(token)).toBe("anonymous");
});

function past(): string {
  return new Date(Date.now() - 1).toISOString();
}

function inDays(days: number): string {
  return new Date(Date.now() + days * 86_400_000).toISOString();
}

async function altered() {
  return { ...(await attest(attester)), expires_at: inDays(300) };
}

async function otherDomain() {
  const { signature: _, ...attestation } = await attest(attester);
  const signature = await attester.sign("octo-manifest-v1", attestationText(attestation));
  return { ...attestation, signature };
}
