import { z } from "zod";

/** How this edge is paid by whoever has no account: in which token, to whom, by whose word. */
export interface X402Settings {
  /** CAIP-2: `eip155:8453`. */
  readonly network: string;
  readonly chainId: bigint;
  /** Addresses are in lower case, so that the same one is always the same text. */
  readonly payTo: string;
  /** The token's contract; it has six decimals, so that one unit of it is one micro. */
  readonly asset: string;
  /** The token's EIP-712 domain. */
  readonly assetName: string;
  readonly assetVersion: string;
  readonly facilitatorUrl: string;
}

/** Empty is not set: `wrangler.toml` has every variable. */
const field = (form: RegExp, words: string) =>
  z
    .string()
    .regex(new RegExp(`^(?:${form.source})?$`), words)
    .default("");

const addressForm = /0x[0-9a-fA-F]{40}/;
const nameForm = /[\x20-\x7e]{1,64}/;

export const x402Fields = {
  OCTO_X402_PAY_TO: field(addressForm, "an Ethereum address, 0x and 40 hexadecimal digits"),
  OCTO_X402_NETWORK: field(/eip155:[1-9]\d{0,14}/, "a chain of Ethereum's kind, say eip155:8453"),
  OCTO_X402_ASSET: field(addressForm, "the address of a token's contract, 0x and 40 digits"),
  OCTO_X402_ASSET_NAME: field(nameForm, "the name in the token's EIP-712 domain"),
  OCTO_X402_ASSET_VERSION: field(nameForm, "the version in the token's EIP-712 domain"),
  OCTO_X402_FACILITATOR: field(
    /https:\/\/[^\s?#]+|http:\/\/(?:localhost|127\.0\.0\.1)(?::\d+)?(?:\/[^\s?#]*)?/,
    "an https: URL, or an http: URL of this machine",
  ),
};

/**
 * The settings, or null where none is given. Throws one sentence that names what is missing where
 * some are.
 */
export function x402SettingsOf(
  values: Readonly<Record<keyof typeof x402Fields, string>>,
): X402Settings | null {
  const names = Object.keys(x402Fields) as (keyof typeof x402Fields)[];
  const missing = names.filter((name) => values[name] === "");
  if (missing.length === names.length) return null;
  if (missing.length > 0) {
    throw new Error(
      `Cannot start: ${missing.join(", ")} must be set too, or no OCTO_X402_… at all`,
    );
  }
  const network = values.OCTO_X402_NETWORK;
  return {
    network,
    chainId: BigInt(network.slice("eip155:".length)),
    payTo: values.OCTO_X402_PAY_TO.toLowerCase(),
    asset: values.OCTO_X402_ASSET.toLowerCase(),
    assetName: values.OCTO_X402_ASSET_NAME,
    assetVersion: values.OCTO_X402_ASSET_VERSION,
    facilitatorUrl: values.OCTO_X402_FACILITATOR.replace(/\/+$/, ""),
  };
}
