import type { AddressBlock } from "../shared/addresses.ts";
import type { OctoOptions } from "../shared/openai/octo-options.ts";
import type { Permission } from "../shared/permissions.ts";
import { regionOf, isRegion, type Region } from "../shared/regions.ts";
import { type Config, configOf, type Env } from "./env.ts";

/** What one request of the front Worker has at hand. */
export interface Context {
  readonly env: Env;
  readonly config: Config;
  readonly requestId: string;
  /** Where the consumer is, by its connection. */
  readonly region: Region;
  /** The consumer's address, by its connection; null where the platform does not tell it. */
  readonly address: string | null;
  /** The URL that was asked for: its host is whom a session is for. */
  readonly url: string;
  readonly startedMs: number;
  /** Fires when the consumer hangs up. */
  readonly signal: AbortSignal;
  readonly waitUntil: (promise: Promise<unknown>) => void;
}

/** What an API key's own settings allow beside its scopes. */
export interface KeyRules {
  /** The models it may ask for, and the addresses it may come from; null for all. */
  readonly models: readonly string[] | null;
  readonly addresses: readonly AddressBlock[] | null;
  readonly expiresMs: number | null;
  /** How many changes of its settings these are of; its Account knows whether there are more. */
  readonly changes: number;
}

/** Who is asking, once the key or the session is known. */
export interface Caller {
  readonly accountId: string;
  /** The API key that was sent; null in a person's session, which runs no inference. */
  readonly keyId: string | null;
  /** The person who is signed in; null behind an API key. */
  readonly personId: string | null;
  readonly permissions: ReadonlySet<Permission>;
  /** What the key belongs to. */
  readonly teamId: string | null;
  readonly projectId: string | null;
  /** Null in a person's session. */
  readonly key: KeyRules | null;
  /** What its account asks of routing where a request does not say. */
  readonly routing: OctoOptions | null;
}

export function createContext(
  request: Request,
  env: Env,
  execution: { waitUntil(promise: Promise<unknown>): void },
  requestId: string,
): Context {
  const config = configOf(env);
  return {
    env,
    config,
    requestId,
    region: regionOfRequest(request, config),
    // Cloudflare writes it over whatever a client sends. The local server takes a client's word,
    // where all clients are on the operator's own machine.
    address: request.headers.get("cf-connecting-ip"),
    url: request.url,
    startedMs: Date.now(),
    signal: request.signal,
    waitUntil: (promise) => execution.waitUntil(promise),
  };
}

/** A connection's region: from Cloudflare's own knowledge of it, never from what a caller says. */
export function regionOfRequest(request: Request, config: Config): Region {
  if (isRegion(config.region)) return config.region;
  const place = request.cf as IncomingRequestCfProperties | undefined;
  return regionOf({
    continent: place?.continent,
    country: place?.country,
    longitude: place?.longitude,
  });
}
