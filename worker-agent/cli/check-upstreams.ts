import type { FoundServer } from "../upstream/discover.ts";
import { discover } from "../upstream/discover.ts";
import { TransportError } from "../upstream/http.ts";
import { identify } from "../upstream/identify.ts";
import type { UpstreamSettings } from "../upstream/upstream-settings.ts";
import type { Check } from "./check.ts";

/** A server that the provider named may be busy loading a model. */
const givenMs = 10_000;

/** Other servers of models: those that were named, or those that are found where they may be. */
export async function checkUpstreams(settings: UpstreamSettings): Promise<Check[]> {
  const signal = AbortSignal.timeout(2 * givenMs);
  switch (settings.look) {
    case "none":
      return [];
    case "auto":
      return (await discover(null, signal)).map((found) => describe(found));
    case "given":
      return Promise.all(settings.urls.map((url) => checkGiven(url, settings, signal)));
  }
}

function describe({ server, identified }: FoundServer): Check {
  const { kind, version, models } = identified;
  const count = models.length === 1 ? "1 model" : `${models.length} models`;
  const found = [kind, version, `at ${server.url}:`, count].filter((part) => part !== "").join(" ");
  const remedy = models.length === 0 ? "load a model into it, or say --upstream none" : null;
  return { name: "Server", found, remedy, isWarning: true };
}

async function checkGiven(
  url: string,
  { key }: UpstreamSettings,
  signal: AbortSignal,
): Promise<Check> {
  const server = { url, key };
  try {
    const identified = await identify(server, { signal, timeoutMs: givenMs });
    if (identified !== null) return describe({ server, identified });
    const found = `${url} answers, and is no server of models`;
    return { name: "Server", found, remedy: "check --upstream: it must be OpenAI-compatible" };
  } catch (error) {
    if (!(error instanceof TransportError)) throw error;
    const remedy = "start it, or check --upstream";
    return { name: "Server", found: `${url}: ${error.message}`, remedy };
  }
}
