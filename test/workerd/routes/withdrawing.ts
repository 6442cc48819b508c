import { expect } from "vitest";
import { toHex } from "../../../shared/crypto/bytes.ts";
import { randomBytes } from "../../../shared/ids.ts";
import { call, newConsumer } from "./edge-client.ts";

/** An address that no other test uses: payouts sum up by address. */
export function newAddress(): string {
  return `0x${toHex(randomBytes(20))}`;
}

export async function newRich(micros: number) {
  const consumer = await newConsumer();
  const { key } = await newConsumer("operator");
  const body = { kind: "mint", account_id: consumer.accountId, amount_micros: micros, reason: "x" };
  const { json } = await call("POST /api/v1/approvals", { body });
  await call(`POST /api/v1/approvals/${String(json["id"])}/approve`, { key });
  return consumer;
}

export async function takeOut(key: string, body: Record<string, unknown>): Promise<string> {
  const { status, json } = await call("POST /api/v1/withdrawals", { key, body });
  expect({ status, json }).toMatchObject({ status: 201, json: { ...body, payout_id: null } });
  return String(json["id"]);
}

export async function moneyOf(key: string): Promise<unknown> {
  const { json } = await call("GET /api/v1/account", { key });
  return { available: json["available_micros"], pending: json["pending_micros"] };
}

export async function stateOf(key: string, id: string): Promise<unknown> {
  return (await call(`GET /api/v1/withdrawals/${id}`, { key })).json["state"];
}

/** Pays out until nothing is queued; gives the payouts, the last one last. */
export async function payOut(): Promise<Record<string, unknown>[]> {
  const made: Record<string, unknown>[] = [];
  for (;;) {
    const { status, json } = await call("POST /api/v1/payouts", { body: {} });
    if (status === 409) return made;
    expect(status).toBe(201);
    made.push(json);
  }
}
