import { type Hex, recoverTypedDataAddress } from "viem";
import { z } from "zod";
import { authorizationTypes, settings } from "../edge/x402/whole-wire.ts";

/** The variables of an edge that is paid by request. */
export const x402Bindings = {
  OCTO_X402_PAY_TO: settings.payTo,
  OCTO_X402_NETWORK: settings.network,
  OCTO_X402_ASSET: settings.asset,
  OCTO_X402_ASSET_NAME: settings.assetName,
  OCTO_X402_ASSET_VERSION: settings.assetVersion,
  OCTO_X402_FACILITATOR: settings.facilitatorUrl,
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
  readonly asked: number;
  readonly settledMicros: number;
  readonly transactions: readonly string[];
}

/** A facilitator and its chain; it answers as the published one, in whatever mood it is told. */
export class FakeFacilitator {
  readonly #moods = new Map<string, Mood[]>();
  readonly #asked = new Map<string, number>();
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
    if (pathname !== "/settle") return new Response("no such page", { status: 404 });
    const ask = askSchema.safeParse(await request.json());
    if (!ask.success) return new Response(z.prettifyError(ask.error), { status: 400 });
    return this.#settle(ask.data);
  }

  async #settle(ask: z.infer<typeof askSchema>): Promise<Response> {
    const { authorization, signature } = ask.paymentPayload.payload;
    const { from: payer, nonce } = authorization;
    this.#asked.set(payer, (this.#asked.get(payer) ?? 0) + 1);
    const mood = this.#moods.get(payer)?.shift() ?? "settle";
    if (mood === "refuse") return failure(payer, "insufficient_funds");
    if (mood === "down") return new Response("<h1>Bad gateway</h1>", { status: 502 });
    if (mood === "redirect") return Response.redirect("https://elsewhere.test/settle", 307);
    if (mood === "garble") return Response.json({ success: true, payer });
    if (!(await isGood(ask, signature))) return failure(payer, "invalid_exact_evm_signature");
    const known = this.#settled.get(payer + nonce);
    if (known !== undefined && mood === "forget") {
      return failure(payer, "invalid_exact_evm_nonce_already_used");
    }
    const transaction = known?.transaction ?? `0x${crypto.randomUUID().replaceAll("-", "")}`;
    const micros = Number(authorization.value);
    this.#settled.set(payer + nonce, { payer, micros, transaction });
    if (mood === "lose") return new Response("upstream reset", { status: 504 });
    if (mood === "hang") return new Promise(() => {});
    return Response.json({ success: true, transaction, network: settings.network, payer });
  }

  #ofPayer(payer: string): PayerOnChain {
    const own = [...this.#settled.values()].filter((one) => one.payer === payer);
    return {
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
async function isGood(ask: z.infer<typeof askSchema>, signature: string): Promise<boolean> {
  const { authorization } = ask.paymentPayload.payload;
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
