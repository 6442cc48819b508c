/** What a wallet is asked to sign, under `octo-sign-in-v1`, to sign in. */
export interface SignInChallenge {
  /** `public`, `local`. */
  readonly network: string;
  /** The edge that asks: `https://edge.example`. A wallet signs for the one it called, no other. */
  readonly origin: string;
  /** Who signs: an Ed25519 public key in base64url. */
  readonly publicKey: string;
  readonly nonce: string;
  readonly expiresMs: number;
}

const form = new RegExp(
  [
    String.raw`^CipherOcto sign-in, version 1`,
    String.raw`Network: ([a-z]{1,20})`,
    String.raw`Origin: (https?://[^\s]{1,255})`,
    String.raw`Key: ([A-Za-z0-9_-]{43})`,
    String.raw`Nonce: ([0-9A-Za-z]{22})`,
    String.raw`Expires: (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)`,
    String.raw`Seal: ([A-Za-z0-9_-]{43})$`,
  ].join(String.raw`\n`),
);

/** The challenge as people read it: no field can hold a line feed, so no two have one text. */
export function signInText(challenge: SignInChallenge): string {
  return [
    "CipherOcto sign-in, version 1",
    `Network: ${challenge.network}`,
    `Origin: ${challenge.origin}`,
    `Key: ${challenge.publicKey}`,
    `Nonce: ${challenge.nonce}`,
    `Expires: ${new Date(challenge.expiresMs).toISOString()}`,
  ].join("\n");
}

/** The text with the edge's seal, by which it knows its challenges without storing them. */
export function sealedText(text: string, seal: string): string {
  return `${text}\nSeal: ${seal}`;
}

/**
 * The challenge in a sealed text, and its seal; null where the text is of another form. A wallet
 * reads it to see that origin and key are those it means.
 */
export function parseSealedText(
  sealed: string,
): { readonly challenge: SignInChallenge; readonly seal: string } | null {
  const [, network, origin, publicKey, nonce, expires, seal] = form.exec(sealed) ?? [];
  if (network === undefined || origin === undefined || publicKey === undefined) return null;
  if (nonce === undefined || expires === undefined || seal === undefined) return null;
  const expiresMs = Date.parse(expires);
  if (Number.isNaN(expiresMs)) return null;
  return { challenge: { network, origin, publicKey, nonce, expiresMs }, seal };
}
