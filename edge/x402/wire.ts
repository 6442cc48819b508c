import { z } from "zod";
import { toBase64, utf8 } from "../../shared/crypto/bytes.ts";

/*
 * What goes over the wire in x402 version 2: three headers, each JSON in base64. The names of
 * fields and headers are those of the published protocol (@x402/core 2.27.0).
 */

export const requiredHeader = "PAYMENT-REQUIRED";
export const signatureHeader = "PAYMENT-SIGNATURE";
export const responseHeader = "PAYMENT-RESPONSE";

const uint256Max = 2n ** 256n - 1n;

const addressField = z
  .string()
  .regex(/^0x[0-9a-fA-F]{40}$/, "not an address: 0x and 40 hexadecimal digits")
  .transform((text) => text.toLowerCase());
const uintField = z
  .string()
  .regex(/^(0|[1-9]\d{0,77})$/, "not a whole number in decimal digits")
  .transform(BigInt)
  .refine((value) => value <= uint256Max, "more than 256 bits");

/** What SQL values and JSON carry exactly: nine billion units of a token with six decimals. */
const amountField = uintField.refine(
  (value) => value >= 1n && value <= BigInt(Number.MAX_SAFE_INTEGER),
  `not from 1 to ${Number.MAX_SAFE_INTEGER}`,
);

const extraField = z.record(z.string(), z.unknown()).nullish();

const resourceSchema = z.strictObject({
  url: z.string().min(1),
  description: z.string().nullish(),
  mimeType: z.string().nullish(),
  serviceName: z.string().nullish(),
  tags: z.array(z.string()).nullish(),
  iconUrl: z.string().nullish(),
});

const requirementsSchema = z.strictObject({
  scheme: z.string(),
  network: z.string(),
  amount: amountField,
  asset: addressField,
  payTo: addressField,
  maxTimeoutSeconds: z.number().positive(),
  extra: extraField,
});

/** EIP-3009: one transfer of a token that its owner signed, good once and for a time. */
const authorizationSchema = z.strictObject({
  from: addressField,
  to: addressField,
  value: amountField,
  validAfter: uintField,
  validBefore: uintField,
  nonce: z
    .string()
    .regex(/^0x[0-9a-fA-F]{64}$/, "not 0x and 64 hexadecimal digits")
    .transform((text) => text.toLowerCase()),
});
export type TransferAuthorization = z.infer<typeof authorizationSchema>;

/** What `PAYMENT-SIGNATURE` says in the scheme `exact`. */
export const presentedSchema = z.strictObject({
  x402Version: z.literal(2, "this edge speaks version 2 of x402"),
  resource: resourceSchema.nullish(),
  accepted: requirementsSchema,
  payload: z.strictObject({
    signature: z
      .string()
      .regex(
        /^0x[0-9a-fA-F]{130}$/,
        "not the 65 bytes of a plain key's signature, 0x and 130 digits",
      ),
    authorization: authorizationSchema,
  }),
  extensions: extraField,
});
export type Presented = z.infer<typeof presentedSchema>;

/** What a request has to be paid with. */
export interface Requirements {
  readonly scheme: "exact";
  readonly network: string;
  /** In the token's smallest units, decimal. */
  readonly amount: string;
  readonly asset: string;
  readonly payTo: string;
  readonly maxTimeoutSeconds: number;
  readonly extra: { readonly name: string; readonly version: string };
}

/** More than any authorization takes, and too little to be a burden. */
const headerCharsMax = 8_192;

/** A header's value for JSON. */
export function encodeHeader(value: unknown): string {
  return toBase64(utf8(JSON.stringify(value)));
}

/** The JSON in a header, not yet checked; undefined where it is none. */
export function decodeHeader(text: string): unknown {
  if (text.length > headerCharsMax || !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return undefined;
  try {
    const bytes = Uint8Array.from(atob(text), (digit) => digit.charCodeAt(0));
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes));
  } catch {
    // Not base64, not UTF-8 or not JSON: to the caller it is all the same.
    return undefined;
  }
}
