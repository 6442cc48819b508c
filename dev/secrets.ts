import { formatApiKey, newApiKey } from "../shared/crypto/api-key.ts";
import { toBase64Url } from "../shared/crypto/bytes.ts";
import { generateSigningKey } from "../shared/crypto/signing.ts";
import { randomBytes } from "../shared/ids.ts";

/** The secrets of one edge, as `wrangler.toml` names them. */
export interface Secrets {
  readonly operatorKey: string;
  readonly edgeKey: string;
  readonly ticketSecret: string;
  readonly keyPepper: string;
}

export async function newSecrets(keyEnv: string): Promise<Secrets> {
  const { privateKey } = await generateSigningKey();
  return {
    operatorKey: formatApiKey(newApiKey(keyEnv)),
    edgeKey: privateKey,
    ticketSecret: toBase64Url(randomBytes(32)),
    keyPepper: newPepper(),
  };
}

/** What the secrets of API keys are hashed under: 256 random bits. */
export function newPepper(): string {
  return toBase64Url(randomBytes(32));
}

/** A secret for whoever tells of deposits, in the form of Standard Webhooks. */
export function newDepositSecret(): string {
  return `whsec_${btoa(String.fromCharCode(...randomBytes(32)))}`;
}
