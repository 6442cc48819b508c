import { OctoError } from "../../../shared/errors.ts";
import type { Context } from "../../context.ts";
import type { Guest } from "../../inference/run-purchased.ts";
import {
  decodeHeader,
  hasPermit,
  presentedPermitSchema,
  presentedSchema,
  signatureHeader,
} from "../../x402/wire.ts";
import { checked } from "../read-body.ts";

/**
 * Whoever sends no key, where this edge takes what is paid a request at a time; null where it does
 * not, or for whoever sends one. An authorization counts once by itself, so that a key for the same
 * purpose would only say something else.
 */
export function readGuest({ config }: Context, headers: Headers): Guest | null {
  const settings = config.x402;
  if (settings === null) return null;
  const signed = headers.get(signatureHeader);
  const hasKey = headers.has("authorization");
  if (signed === null) return hasKey ? null : { settings, presented: null };
  const one = [
    hasKey ? "Authorization" : "",
    headers.has("idempotency-key") ? "Idempotency-Key" : "",
  ];
  const other = one.find((name) => name !== "");
  if (other !== undefined) {
    throw new OctoError("invalid_request", `Send ${signatureHeader} or ${other}, not both`, {
      param: other,
    });
  }
  const decoded = decodeHeader(signed);
  if (decoded === undefined) {
    throw new OctoError("invalid_request", `${signatureHeader}: not JSON in base64`, {
      param: signatureHeader,
    });
  }
  const presented = hasPermit(decoded)
    ? checked(decoded, presentedPermitSchema, signatureHeader)
    : checked(decoded, presentedSchema, signatureHeader);
  return { settings, presented };
}
