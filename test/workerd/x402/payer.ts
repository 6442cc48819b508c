import { runInDurableObject } from "cloudflare:test";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { accountObject } from "../../../edge/objects.ts";
import { payerAccountId } from "../../../edge/x402/payer.ts";
import { decodeHeader, encodeHeader, type Requirements } from "../../../edge/x402/wire.ts";
import type { Mood, PayerOnChain } from "../../helpers/fake-facilitator.ts";
import { type PermitChange, signedPermit } from "../../edge/x402/whole-permit.ts";
import { settings, signed } from "../../edge/x402/whole-wire.ts";
import { type Answer, call, env } from "../routes/edge-client.ts";

/** A program with money on a chain and no account. */
export interface Payer {
  readonly address: string;
  readonly accountId: string;
  /** Signs for a price, with whatever is to be wrong about it; gives the header. */
  sign(price: Requirements, change?: Record<string, unknown>): Promise<Record<string, string>>;
  /** The same for a price that is to be paid after the answer, as a most. */
  promise(price: Requirements, change?: PermitChange): Promise<Record<string, string>>;
  /** How the facilitator takes its next questions. */
  expect(...moods: readonly Mood[]): Promise<void>;
  onChain(): Promise<PayerOnChain>;
}

export async function newPayer(): Promise<Payer> {
  const key = generatePrivateKey();
  const address = privateKeyToAccount(key).address.toLowerCase();
  return {
    address,
    accountId: await payerAccountId(settings.network, address),
    async sign(price, change = {}) {
      const nowS = Math.floor(Date.now() / 1_000);
      const validBefore = `${nowS + price.maxTimeoutSeconds}`;
      const payload = await signed({ value: price.amount, validBefore, ...change }, key);
      const accepted = { ...price, amount: payload.authorization.value };
      return header({ x402Version: 2, accepted, payload });
    },
    async promise(price, change = {}) {
      const nowS = Math.floor(Date.now() / 1_000);
      const deadline = `${nowS + price.maxTimeoutSeconds}`;
      const payload = await signedPermit({ amount: price.amount, deadline, ...change }, key);
      const { amount } = payload.permit2Authorization.permitted;
      return header({ x402Version: 2, accepted: { ...price, amount }, payload });
    },
    async expect(...moods) {
      const body = JSON.stringify({ payer: address, moods });
      await facilitator("/moods", { method: "POST", body });
    },
    onChain: async () => (await facilitator(`/chain?payer=${address}`)).json<PayerOnChain>(),
  };
}

export function header(value: unknown): Record<string, string> {
  return { "payment-signature": encodeHeader(value) };
}

function facilitator(path: string, init?: RequestInit): Promise<Response> {
  if (env.FACILITATOR === undefined) throw new Error("This world has no facilitator");
  return env.FACILITATOR.fetch(new Request(`https://facilitator.test${path}`, init));
}

/** Asks for a chat without any key. */
export function ask(
  model: string,
  headers: Record<string, string> = {},
  body: Record<string, unknown> = {},
): Promise<Answer> {
  const messages = [{ role: "user", content: "hi" }];
  return call("POST /v1/chat/completions", {
    key: null,
    headers,
    body: { model, messages, max_completion_tokens: 1_000, ...body },
  });
}

/** What a request costs, by the header of its refusal. */
export function priceOf(answer: Answer): Requirements {
  return offerOf(answer, "exact");
}

/** The same, of one scheme. */
export function offerOf({ headers }: Answer, scheme: Requirements["scheme"]): Requirements {
  const told = readHeader(headers, "payment-required") as { accepts: Requirements[] };
  const offer = told.accepts.find((one) => one.scheme === scheme);
  if (offer === undefined) throw new Error(`${scheme} is not offered`);
  return offer;
}

export function readHeader(headers: Headers, name: string): unknown {
  return decodeHeader(headers.get(name) ?? "");
}

/** Its account's object dies as when its machine does. */
export async function crashAccount({ accountId }: Payer): Promise<void> {
  const account = accountObject(env, accountId);
  const crash = runInDurableObject(account, (_, state) => state.abort("the machine went away"));
  await crash.catch(() => "as it should: the call dies with its object");
}
