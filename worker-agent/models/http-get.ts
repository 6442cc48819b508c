import { ModelError } from "./model-error.ts";
import { shownUrl } from "./shown-url.ts";

/** Hubs redirect once or twice to their storage; more is a loop. */
const redirectsMax = 5;

export interface GetOptions {
  readonly method?: "GET" | "HEAD";
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as a bearer token to the origin of `url` only, never to where it redirects. */
  readonly token: string | null;
  readonly signal: AbortSignal;
  /** Answers from this host only: the first redirect to another one is returned as it is. */
  readonly staysOnHost?: boolean;
}

/**
 * A request that follows redirects by hand: the token stays with the origin it is for, and what is
 * asked for by https never comes over http. Throws ModelError `download_failed` for redirects that
 * are not followed.
 */
export async function httpGet(url: string, options: GetOptions): Promise<Response> {
  const home = new URL(url);
  let target = url;
  for (let hop = 0; hop <= redirectsMax; hop++) {
    const isHome = new URL(target).origin === home.origin;
    const headers = new Headers({ "user-agent": "octo-worker", ...options.headers });
    // A compressed body has other bytes than the range that was asked for.
    headers.set("accept-encoding", "identity");
    if (isHome && options.token !== null) headers.set("authorization", `Bearer ${options.token}`);
    const method = options.method ?? "GET";
    const response = await fetch(target, {
      method,
      headers,
      redirect: "manual",
      signal: options.signal,
    });
    const location = response.headers.get("location");
    if (response.status < 300 || response.status >= 400 || location === null) return response;
    const next = new URL(location, target);
    // Requests cannot have them, and what is thrown then would say them.
    [next.username, next.password] = ["", ""];
    if (options.staysOnHost === true && next.host !== home.host) return response;
    await response.body?.cancel();
    if (home.protocol === "https:" && next.protocol !== "https:" && !isLoopback(next)) {
      refuse(url, "it redirects from https to http");
    }
    target = next.href;
  }
  return refuse(url, `more than ${redirectsMax} redirects`);
}

/** Whether what is sent to a URL stays on this machine. */
function isLoopback({ hostname }: URL): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d+){3}$/.test(hostname);
}

function refuse(url: string, reason: string): never {
  throw new ModelError("download_failed", `Cannot download ${shownUrl(url)}: ${reason}`);
}
