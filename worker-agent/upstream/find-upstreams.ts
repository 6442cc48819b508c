import { join } from "node:path";
import type { Log } from "../../shared/log.ts";
import { listingsMax } from "../../shared/protocol/limits.ts";
import type { Config, ConfiguredModel } from "../config.ts";
import { EngineError } from "../engine/engine.ts";
import { localOllamaModels } from "./describe.ts";
import { dialects } from "./dialects.ts";
import type { FoundServer } from "./discover.ts";
import { discover } from "./discover.ts";
import { identify, studioModelsSchema } from "./identify.ts";
import { TransportError } from "./http.ts";
import { listedName } from "./listed-name.ts";
import { openUpstream } from "./open-upstream.ts";
import { readJson } from "./read-json.ts";
import type { WantedModel } from "./upstream-settings.ts";
import type { UpstreamSource } from "./upstream-source.ts";

/** A server that the provider named may be busy loading a model. */
const givenMs = 10_000;

/**
 * The configuration with the models of other servers in it: of those the provider named, or, where
 * no model and no server was named, of those that are found on this machine, which then take the
 * bundled model's place. Each is opened once, so that what cannot be served is left out here with
 * its reason. Throws EngineError where a named server or model cannot be served.
 */
export async function withUpstreams(
  config: Config,
  signal: AbortSignal,
  log: Log,
  ports?: readonly number[],
): Promise<Config> {
  const { look, urls, key } = config.upstream;
  if (look === "none") return config;
  const servers =
    look === "auto"
      ? await discover(key, signal, ports)
      : await Promise.all(urls.map((url) => findGiven({ url, key }, signal)));
  const taken = look === "auto" ? [] : config.models;
  const models = await servableModels(servers, { config, taken, log }, signal);
  if (look === "given") return { ...config, models: [...config.models, ...models] };
  if (models.length === 0) return config;
  const bundled = config.models.map(({ name }) => name).join(", ");
  log("info", "Serving the models of other servers here", { instead_of: bundled });
  return { ...config, models };
}

interface Wish {
  readonly config: Config;
  /** Models whose names are not free. */
  readonly taken: readonly ConfiguredModel[];
  readonly log: Log;
}

async function findGiven(server: FoundServer["server"], signal: AbortSignal): Promise<FoundServer> {
  const { url } = server;
  try {
    const identified = await identify(server, { signal, timeoutMs: givenMs });
    if (identified !== null) return { server, identified };
  } catch (error) {
    if (!(error instanceof TransportError)) throw error;
    const remedy = "start it, or leave it out of --upstream";
    const message = `Cannot serve the models of ${url}: it ${error.message}; ${remedy}`;
    throw new EngineError("engine_failed", message, { cause: error });
  }
  const rule = "what answers there is no server of models that we know, or wants OCTO_UPSTREAM_KEY";
  throw new EngineError("engine_failed", `Cannot serve the models of ${url}: ${rule}`);
}

async function servableModels(
  servers: readonly FoundServer[],
  { config, taken, log }: Wish,
  signal: AbortSignal,
): Promise<ConfiguredModel[]> {
  const { models: wanted, look } = config.upstream;
  const found: ConfiguredModel[] = [];
  const names = new Set(taken.map(({ name }) => name));
  for (const server of servers) {
    const offered = await offeredModels(server, wanted, signal);
    const { title } = dialects[server.identified.kind];
    const { url } = server.server;
    log("info", "Found", { server: title, url, models: offered.length });
    for (const { name, listedAs } of offered) {
      const listed = listedAs ?? listedName(name);
      if (names.has(listed) || names.size === listingsMax) {
        const reason = names.has(listed) ? "its name is taken" : `${listingsMax} are listed`;
        log("warn", "Not served", { model: name, url, reason });
        continue;
      }
      const source: UpstreamSource = { kind: "upstream", url, model: name, key: server.server.key };
      if (!(await isServable(source, { config, taken, log }, signal))) continue;
      names.add(listed);
      found.push({ name: listed, source });
    }
  }
  for (const { name } of wanted) {
    if (found.some(({ source }) => source.kind === "upstream" && source.model === name)) continue;
    const where = servers.map(({ server }) => server.url).join(", ") || "no server";
    const message = `Cannot serve ${JSON.stringify(name)} of --upstream-model: ${where} has none`;
    throw new EngineError("engine_failed", message);
  }
  if (look === "given" && found.length === 0) {
    const where = servers.map(({ server }) => server.url).join(", ");
    throw new EngineError("engine_failed", `Cannot serve the models of ${where}: none is usable`);
  }
  return found;
}

/** The models of a server that are to be served: those chosen, else all that run there. */
async function offeredModels(
  { server, identified }: FoundServer,
  wanted: readonly WantedModel[],
  signal: AbortSignal,
): Promise<readonly WantedModel[]> {
  const { kind, models } = identified;
  const options = { signal, timeoutMs: givenMs };
  let ids = models.map(({ id }) => id);
  if (kind === "ollama") {
    const own = await localOllamaModels(server, options);
    ids = ids.filter((id) => own.has(id));
  }
  if (wanted.length > 0) return wanted.filter(({ name }) => ids.includes(name));
  if (kind === "lm-studio") {
    const list = await readJson(server, "/api/v0/models", studioModelsSchema, options);
    const loaded = (list?.data ?? []).filter(({ state }) => state === "loaded");
    // It lists all that were ever downloaded: what is loaded is what the provider uses it for.
    if (loaded.length > 0) ids = loaded.map(({ id }) => id);
  }
  return ids.map((name) => ({ name, listedAs: null }));
}

async function isServable(
  source: UpstreamSource,
  { config, log }: Wish,
  signal: AbortSignal,
): Promise<boolean> {
  const { stateDir, slots, contextTokensMax, upstream } = config;
  try {
    const modelsFolder = join(stateDir, "models");
    const options = { modelsFolder, slots, contextTokensMax, log };
    await using _ = await openUpstream(source, options, signal);
    return true;
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    // A model that was named must be served; one that was only found may be left out.
    if (upstream.models.some(({ name }) => name === source.model)) throw error;
    log("warn", "Not served", { model: source.model, url: source.url, reason: error.message });
    return false;
  }
}
