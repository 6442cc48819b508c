import { type Hex, recoverTypedDataAddress } from "viem";
import { z } from "zod";
import { authorizationTypes, settings } from "../edge/x402/whole-wire.ts";
import { isGoodPermit, type PermitAsk, permitAskSchema } from "./fake-permits.ts";

/** The variables of an edge that is paid by request. */
export const x402Bindings = {
  OCTO_X402_PAY_TO: settings.payTo,
  OCTO_X402_NETWORK: settings.network,
  OCTO_X402_ASSET: settings.asset,
  OCTO_X402_ASSET_NAME: settings.assetName,
  OCTO_X402_ASSET_VERSION: settings.assetVersion,
  OCTO_X402_FACILITATOR: settings.facilitatorUrl,
  OCTO_X402_UPTO_FACILITATOR: settings.uptoFacilitator ?? "",
};

/** How it takes one question. */
export const moods = [
  "settle",
  "refuse",
  /** Nothing happens, and what stands before it says so. */
  "down",
  /** It settles, and its answer is lost. */
  "lose",
  /** It has forgotten what it settled, and the token takes a nonce once. */
  "forget",
  /** It says that it succeeded, and not how. */
  "garble",
  "redirect",
  /** It settles, and never answers. */
  "hang",
] as const;
export type Mood = (typeof moods)[number];

const moodsSchema = z.strictObject({ payer: z.string(), moods: z.array(z.enum(moods)) });

/** As the protocol has it: whatever else comes is a fault of ours. */
const askSchema = z.strictObject({
  x402Version: z.literal(2),
  paymentPayload: z.strictObject({
    x402Version: z.literal(2),
    accepted: z.record(z.string(), z.unknown()),
    payload: z.strictObject({
      signature: z.string(),
      authorization: z.strictObject({
        from: z.string(),
        to: z.string(),
        value: z.string(),
        validAfter: z.string(),
        validBefore: z.string(),
        nonce: z.string(),
      }),
    }),
  }),
  paymentRequirements: z.strictObject({
    scheme: z.literal("exact"),
    network: z.literal(settings.network),
    amount: z.string(),
    asset: z.literal(settings.asset),
    payTo: z.literal(settings.payTo),
    maxTimeoutSeconds: z.number(),
    extra: z.strictObject({ name: z.string(), version: z.string() }),
  }),
});

/** What the chain has of one payer. */
export interface PayerOnChain {
  /** How often it was asked whether it could settle. */
  readonly verified: number;
  readonly asked: number;
  readonly settledMicros: number;
  readonly transactions: readonly string[];
}

/** What it is to settle. */
interface Transfer {
  readonly payer: string;
  readonly nonce: string;
  readonly micros: number;
  readonly isGood: boolean;
}

/** A facilitator and its chain; it answers as the published one, in whatever mood it is told. */
export class FakeFacilitator {
  readonly #moods = new Map<string, Mood[]>();
  readonly #asked = new Map<string, number>();
  readonly #verified = new Map<string, number>();
  readonly #settled = new Map<
    string,
    { readonly payer: string; readonly micros: number; readonly transaction: string }
  >();

  async fetch(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/chain") return Response.json(this.#ofPayer(searchParams.get("payer") ?? ""));
    if (pathname === "/moods") {
      const { payer, moods } = moodsSchema.parse(await request.json());
      this.#moods.set(payer, [...moods]);
      return Response.json({});
    }
    if (pathname !== "/settle" && pathname !== "/verify") {
      return new Response("no such page", { status: 404 });
    }
    const json = await request.json();
    const permit = permitAskSchema.safeParse(json);
    if (permit.success) {
      return pathname === "/verify" ? this.#verify(permit.data) : this.#settlePermit(permit.data);
    }
    const ask = askSchema.safeParse(json);
    if (!ask.success) return new Response(z.prettifyError(ask.error), { status: 400 });
    const { authorization } = ask.data.paymentPayload.payload;
    return this.#settle({
      payer: authorization.from,
      nonce: authorization.nonce,
      micros: Number(authorization.value),
      isGood: await isGood(ask.data),
    });
  }

  /** It looks, and nothing happens; its mood is that of any other question. */
  async #verify(ask: PermitAsk): Promise<Response> {
    const { from: payer } = ask.paymentPayload.payload.permit2Authorization;
    this.#verified.set(payer, (this.#verified.get(payer) ?? 0) + 1);
    const mood = this.#moods.get(payer)?.shift() ?? "settle";
    if (mood === "hang") return new Promise(() => {});
    if (mood === "refuse") {
      return Response.json({ isValid: false, invalidReason: "insufficient_balance", payer });
    }
    if (mood !== "settle") return new Response("<h1>Bad gateway</h1>", { status: 502 });
    const isValid = await isGoodPermit(ask, "whole");
    return Response.json({
      isValid,
      ...(isValid ? {} : { invalidReason: "invalid_permit" }),
      payer,
    });
  }

  async #settlePermit(ask: PermitAsk): Promise<Response> {
    const { from: payer, nonce } = ask.paymentPayload.payload.permit2Authorization;
    const micros = Number(ask.paymentRequirements.amount);
    return this.#settle({ payer, nonce, micros, isGood: await isGoodPermit(ask, "part") });
  }

  async #settle({ payer, nonce, micros, isGood: isTaken }: Transfer): Promise<Response> {
    this.#asked.set(payer, (this.#asked.get(payer) ?? 0) + 1);
    const mood = this.#moods.get(payer)?.shift() ?? "settle";
    if (mood === "refuse") return failure(payer, "insufficient_funds");
    if (mood === "down") return new Response("<h1>Bad gateway</h1>", { status: 502 });
    if (mood === "redirect") return Response.redirect("https://elsewhere.test/settle", 307);
    if (mood === "garble") return Response.json({ success: true, payer });
    if (!isTaken) return failure(payer, "invalid_signature");
    const known = this.#settled.get(payer + nonce);
    if (known !== undefined && mood === "forget") {
      return failure(payer, "invalid_exact_evm_nonce_already_used");
    }
    const transaction = known?.transaction ?? `0x${crypto.randomUUID().replaceAll("-", "")}`;
    if (known === undefined) this.#settled.set(payer + nonce, { payer, micros, transaction });
    if (mood === "lose") return new Response("upstream reset", { status: 504 });
    if (mood === "hang") return new Promise(() => {});
    return Response.json({ success: true, transaction, network: settings.network, payer });
  }

  #ofPayer(payer: string): PayerOnChain {
    const own = [...this.#settled.values()].filter((one) => one.payer === payer);
    return {
      verified: this.#verified.get(payer) ?? 0,
      asked: this.#asked.get(payer) ?? 0,
      settledMicros: own.reduce((sum, { micros }) => sum + micros, 0),
      transactions: own.map(({ transaction }) => transaction),
    };
  }
}

function failure(payer: string, errorReason: string): Response {
  const { network } = settings;
  return Response.json({ success: false, errorReason, transaction: "", network, payer });
}

/** What the token's contract would look at, by another's arithmetic than ours. */
async function isGood(ask: z.infer<typeof askSchema>): Promise<boolean> {
  const { authorization, signature } = ask.paymentPayload.payload;
  const { amount, payTo, asset, extra } = ask.paymentRequirements;
  const signer = await recoverTypedDataAddress({
    domain: { ...extra, chainId: settings.chainId, verifyingContract: asset as Hex },
    types: authorizationTypes,
    primaryType: "TransferWithAuthorization",
    message: {
      from: authorization.from as Hex,
      to: authorization.to as Hex,
      value: BigInt(authorization.value),
      validAfter: BigInt(authorization.validAfter),
      validBefore: BigInt(authorization.validBefore),
      nonce: authorization.nonce as Hex,
    },
    signature: signature as Hex,
  });
  return (
    signer.toLowerCase() === authorization.from &&
    authorization.to === payTo &&
    authorization.value === amount
  );
}
