import { z } from "zod";
import { importSigningKey, type SigningKey } from "../shared/crypto/signing.ts";
import { type ApiKey, parseApiKey } from "../shared/crypto/api-key.ts";
import type { Attester } from "../shared/verification.ts";
import type { Account } from "./billing/account.ts";
import type { Directory } from "./directory/directory.ts";
import type { Hub } from "./hub/hub.ts";
import { rateFields, type Rates, ratesOf } from "./rates/settings.ts";
import { type WithdrawalMinimums, withdrawalMinimumsSchema } from "./withdrawal-minimums.ts";
import { x402Fields, type X402Settings, x402SettingsOf } from "./x402/settings.ts";

/**
 * What the platform gives the Worker: bindings, variables and secrets, as `wrangler.toml` names
 * them.
 */
export interface Env {
  readonly HUB: DurableObjectNamespace<Hub>;
  readonly DIRECTORY: DurableObjectNamespace<Directory>;
  readonly ACCOUNT: DurableObjectNamespace<Account>;
  /**
   * Locally the libSQL endpoint is a service beside the Worker; elsewhere it is reached by its URL.
   */
  readonly LIBSQL?: Fetcher;
  readonly LIBSQL_URL?: string;
  readonly LIBSQL_AUTH_TOKEN?: string;
  readonly OCTO_NETWORK?: string;
  readonly OCTO_KEY_ENV?: string;
  readonly OCTO_OPERATOR_KEY?: string;
  readonly OCTO_EDGE_KEY?: string;
  readonly OCTO_TICKET_SECRET?: string;
  readonly OCTO_KEY_PEPPER?: string;
  readonly OCTO_REGION?: string;
  readonly OCTO_FIRST_TOKEN_MS?: string;
  readonly OCTO_QUEUE_MS?: string;
  readonly OCTO_STALL_MS?: string;
  readonly OCTO_PREFLIGHT?: string;
  readonly OCTO_DISPUTE_MS?: string;
  readonly OCTO_DEPOSIT_SECRETS?: string;
  readonly OCTO_FOUR_EYES_MICROS?: string;
  readonly OCTO_WITHDRAWAL_MIN_MICROS?: string;
  readonly OCTO_SIGN_UP?: string;
  readonly OCTO_ATTESTERS?: string;
  readonly OCTO_X402_PAY_TO?: string;
  readonly OCTO_X402_NETWORK?: string;
  readonly OCTO_X402_ASSET?: string;
  readonly OCTO_X402_ASSET_NAME?: string;
  readonly OCTO_X402_ASSET_VERSION?: string;
  readonly OCTO_X402_FACILITATOR?: string;
  readonly OCTO_X402_UPTO_FACILITATOR?: string;
  readonly OCTO_RATES?: string;
  readonly CALLS_BY_CALLER?: RateLimit;
  readonly CALLS_BY_OPERATOR?: RateLimit;
  readonly TRIES_BY_ADDRESS?: RateLimit;
  /** A facilitator beside the Worker; elsewhere it is reached by its URL. */
  readonly FACILITATOR?: Fetcher;
}

/** The settings of this edge, checked once. */
export interface Config {
  readonly network: "local" | "public";
  /** The environment in API keys: `octo_sk_<env>_…`. */
  readonly keyEnv: string;
  readonly operatorKey: ApiKey;
  readonly edgePrivateKey: string;
  readonly ticketSecret: string;
  /** Under it the secrets of API keys are hashed: another one makes every key unknown. */
  readonly keyPepper: string;
  readonly libsqlUrl: string;
  readonly libsqlAuthToken: string | null;
  /** Forces one region for every connection: for development, where `request.cf` knows no place. */
  readonly region: string | null;
  readonly firstTokenMs: number;
  readonly queueMs: number;
  readonly stallMs: number;
  /** Whether what workers claim is probed before it is listed. */
  readonly preflight: boolean;
  /** How long what workers earn waits before it can leave the network. */
  readonly disputeMs: number;
  /** Who may tell of deposits: several at once while one replaces another; none takes none. */
  readonly depositSecrets: readonly string[];
  /** What is above this, in all of a day, takes two operators. */
  readonly fourEyesMicros: bigint;
  /** The least that leaves the network at once. */
  readonly withdrawalMinMicros: WithdrawalMinimums;
  /** Whether anybody may open an account of their own. */
  readonly signUp: "open" | "closed";
  /** Who may say what about accounts: public keys, each for one level. */
  readonly attesters: readonly Attester[];
  /** How requests are paid without an account; null where they are not. */
  readonly x402: X402Settings | null;
  /** How often callers may call; null where nobody counts. */
  readonly rates: Rates | null;
}

const duration = (fallback: number) =>
  z.coerce.number().int().min(50).max(600_000).default(fallback);

const dayMs = 24 * 3_600_000;
const depositSecretsForm = "Standard Webhooks secrets, whsec_…, separated by commas";
const attesterForm = /^(kyc|certified):([A-Za-z0-9_-]{43})$/;

const attestersSchema = z.string().transform((text, ctx) => {
  const entries = text.split(",").filter((entry) => entry.trim() !== "");
  return entries.map((entry): Attester => {
    const [, level, issuer] = attesterForm.exec(entry.trim()) ?? [];
    if (level !== undefined && issuer !== undefined) {
      return { level: level as Attester["level"], issuer };
    }
    ctx.addIssue("a list of kyc:KEY and certified:KEY, each KEY an Ed25519 public key");
    return z.NEVER;
  });
});

const configSchema = z.object({
  OCTO_NETWORK: z.enum(["local", "public"]).default("public"),
  OCTO_KEY_ENV: z
    .string()
    .regex(/^[a-z]{1,8}$/, "1 to 8 lower-case letters")
    .default("live"),
  OCTO_OPERATOR_KEY: z.string("an API key made by `npm run secrets`").transform((text, ctx) => {
    const key = parseApiKey(text);
    if (key !== null) return key;
    ctx.addIssue("an API key made by `npm run secrets`");
    return z.NEVER;
  }),
  OCTO_EDGE_KEY: z.string("an Ed25519 private key, PKCS #8 in base64url").min(64),
  OCTO_TICKET_SECRET: z.string("at least 32 random characters").min(32),
  OCTO_KEY_PEPPER: z
    .string("at least 32 random characters, made by `npm run secrets`")
    .min(32, "at least 32 random characters, made by `npm run secrets`"),
  LIBSQL_URL: z.url({ protocol: /^(libsql|https?)$/, error: "a libsql: or https: URL" }),
  LIBSQL_AUTH_TOKEN: z.string().optional(),
  OCTO_REGION: z.string().optional(),
  // Ten seconds to a first token is where people give up; see the limits in hub/hub-config.ts.
  OCTO_FIRST_TOKEN_MS: duration(10_000),
  OCTO_QUEUE_MS: duration(10_000),
  OCTO_STALL_MS: duration(30_000),
  // Off, workers' claims are believed: for networks whose workers are all one's own.
  OCTO_PREFLIGHT: z.enum(["on", "off"]).default("on"),
  // A day to notice a fraud; over a month nobody would lend their machine.
  OCTO_DISPUTE_MS: z.coerce
    .number()
    .int()
    .min(1)
    .max(31 * dayMs)
    .default(dayMs),
  OCTO_DEPOSIT_SECRETS: z
    .string()
    .regex(/^whsec_[A-Za-z0-9+/=]{32,}(,whsec_[A-Za-z0-9+/=]{32,})*$/, depositSecretsForm)
    .transform((text) => text.split(","))
    .default([]),
  // A thousand credits: what one operator may lose by a slip, or take.
  OCTO_FOUR_EYES_MICROS: z
    .string()
    .regex(/^\d{1,15}$/, "a whole number of micros")
    .transform(BigInt)
    .default(1_000_000_000n),
  OCTO_WITHDRAWAL_MIN_MICROS: withdrawalMinimumsSchema,
  OCTO_SIGN_UP: z.enum(["open", "closed"], '"open" or "closed"').default("closed"),
  OCTO_ATTESTERS: attestersSchema.default([]),
  ...x402Fields,
  ...rateFields,
});

const configByEnv = new WeakMap<Env, Config>();

/**
 * The configuration of an environment. Throws one sentence that names the variable and the accepted
 * form.
 */
export function configOf(env: Env): Config {
  const known = configByEnv.get(env);
  if (known !== undefined) return known;
  const { LIBSQL, LIBSQL_URL } = env;
  // Behind the service binding the host is never looked up; the client only wants a URL.
  const url = LIBSQL === undefined ? LIBSQL_URL : "http://libsql.invalid";
  const parsed = configSchema.safeParse({ ...env, LIBSQL_URL: url });
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new Error(`Cannot start: ${issue?.path.join(".")} must be ${issue?.message}`);
  }
  const values = parsed.data;
  const config: Config = {
    network: values.OCTO_NETWORK,
    keyEnv: values.OCTO_KEY_ENV,
    operatorKey: values.OCTO_OPERATOR_KEY,
    edgePrivateKey: values.OCTO_EDGE_KEY,
    ticketSecret: values.OCTO_TICKET_SECRET,
    keyPepper: values.OCTO_KEY_PEPPER,
    libsqlUrl: values.LIBSQL_URL,
    libsqlAuthToken: values.LIBSQL_AUTH_TOKEN ?? null,
    region: values.OCTO_REGION ?? null,
    firstTokenMs: values.OCTO_FIRST_TOKEN_MS,
    queueMs: values.OCTO_QUEUE_MS,
    stallMs: values.OCTO_STALL_MS,
    preflight: values.OCTO_PREFLIGHT === "on",
    disputeMs: values.OCTO_DISPUTE_MS,
    depositSecrets: values.OCTO_DEPOSIT_SECRETS,
    fourEyesMicros: values.OCTO_FOUR_EYES_MICROS,
    withdrawalMinMicros: values.OCTO_WITHDRAWAL_MIN_MICROS,
    signUp: values.OCTO_SIGN_UP,
    attesters: values.OCTO_ATTESTERS,
    x402: x402SettingsOf(values),
    rates: ratesOf(values),
  };
  configByEnv.set(env, config);
  return config;
}

const edgeKeyByConfig = new WeakMap<Config, SigningKey>();

/**
 * The key with which this edge countersigns receipts; importing it costs more than signing with it.
 */
export async function edgeSigningKey(config: Config): Promise<SigningKey> {
  const known = edgeKeyByConfig.get(config);
  if (known !== undefined) return known;
  const key = await importSigningKey(config.edgePrivateKey);
  edgeKeyByConfig.set(config, key);
  return key;
}
