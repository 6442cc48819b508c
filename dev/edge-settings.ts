/**
 * Settings of the edge that a network on one machine takes from the environment of its process, by
 * the names that a deployed one has in `wrangler.toml`. Its secrets and its database are its own.
 */
const names = [
  "OCTO_ATTESTERS",
  "OCTO_DEPOSIT_SECRETS",
  "OCTO_DISPUTE_MS",
  "OCTO_FIRST_TOKEN_MS",
  "OCTO_FOUR_EYES_MICROS",
  "OCTO_PREFLIGHT",
  "OCTO_QUEUE_MS",
  "OCTO_REGION",
  "OCTO_SIGN_UP",
  "OCTO_STALL_MS",
  "OCTO_WITHDRAWAL_MIN_MICROS",
  "OCTO_X402_ASSET",
  "OCTO_X402_ASSET_NAME",
  "OCTO_X402_ASSET_VERSION",
  "OCTO_X402_FACILITATOR",
  "OCTO_X402_NETWORK",
  "OCTO_X402_PAY_TO",
  "OCTO_X402_UPTO_FACILITATOR",
] as const;

/** What the environment says of the edge; nothing where it says nothing. */
export function edgeSettings(env: NodeJS.ProcessEnv): Readonly<Record<string, string>> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = env[name];
      return value === undefined || value === "" ? [] : [[name, value]];
    }),
  );
}
