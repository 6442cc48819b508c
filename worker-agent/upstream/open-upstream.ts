import { join } from "node:path";
import type { Ability } from "../../shared/openai/demands.ts";
import type { Log } from "../../shared/log.ts";
import { slotsMax } from "../../shared/protocol/limits.ts";
import type { Engine, EngineModel } from "../engine/engine.ts";
import { EngineError } from "../engine/engine.ts";
import type { ModelFacts } from "./describe.ts";
import { contextTokensDefault, describeModel, loadedContext } from "./describe.ts";
import { dialects } from "./dialects.ts";
import type { Identified, ListedModel } from "./identify.ts";
import { identify } from "./identify.ts";
import type { Server } from "./http.ts";
import { TransportError } from "./http.ts";
import type { ModelIdentity } from "./model-identity.ts";
import { identifyModel } from "./model-identity.ts";
import { cachedProbe } from "./probe-cache.ts";
import { probeModel } from "./probe-model.ts";
import { UpstreamEngine } from "./upstream-engine.ts";
import type { UpstreamSource } from "./upstream-source.ts";

export interface OpenUpstreamOptions {
  readonly modelsFolder: string;
  /** Answers at once; fewer where the server says that it makes no more. */
  readonly slots: number;
  readonly contextTokensMax: number | null;
  readonly log: Log;
  readonly onDigest?: (doneBytes: number, totalBytes: number) => void;
}

/** Facts are a local server's in no time; one that is busy loading takes longer. */
const factsMs = 10_000;

/**
 * Makes a server's model ready to serve: reads what it is and probes what it can do. Throws
 * EngineError with one sentence for the provider, or the signal's reason.
 */
export async function openUpstream(
  source: UpstreamSource,
  options: OpenUpstreamOptions,
  signal: AbortSignal,
): Promise<Engine> {
  const { url, key, model: name } = source;
  const server: Server = { url, key };
  try {
    const limits = { signal, timeoutMs: factsMs };
    const identified = await identify(server, limits);
    if (identified === null) throw refuse(url, "it is no server of models");
    const listed = identified.models.find(({ id }) => id === name);
    if (listed === undefined) throw refuse(url, `it has no model ${name}`);
    const facts = await describeModel(server, identified.kind, listed, limits);
    if (facts === null) throw refuse(url, `it no longer has the model ${name}`);
    return await open({ server, identified, listed, facts }, options, signal);
  } catch (error) {
    if (!(error instanceof TransportError)) throw error;
    throw refuse(url, `it ${error.message}`, error);
  }
}

interface Found {
  readonly server: Server;
  readonly identified: Identified;
  readonly listed: ListedModel;
  readonly facts: ModelFacts;
}

async function open(
  { server, identified, listed, facts }: Found,
  options: OpenUpstreamOptions,
  signal: AbortSignal,
): Promise<Engine> {
  const { kind, version } = identified;
  const { id: name } = listed;
  const { modelsFolder, log, onDigest } = options;
  const identity = await identifyModel(kind, name, facts, {
    cacheFolder: join(modelsFolder, "digests"),
    signal,
    ...(onDigest === undefined ? {} : { onProgress: onDigest }),
  });
  const shared = { server, kind, name, mark: facts.mark, file: identity.read?.file ?? null };
  const modelOf = (contextTokens: number, abilities: readonly Ability[]): EngineModel => ({
    ...shapeOf(facts, identity),
    // The provider may offer fewer than the server makes, and never more.
    slots: Math.min(facts.slots ?? slotsMax, options.slots, slotsMax),
    contextTokens: Math.min(contextTokens, options.contextTokensMax ?? Infinity),
    abilities,
  });
  const subject = { url: server.url, kind, version, name, digest: identity.digest };
  const probed = await cachedProbe(join(modelsFolder, "probes"), subject, async () => {
    log("info", "Asking what it can do", { model: name, server: dialects[kind].title });
    const anything = modelOf(contextTokensDefault, []);
    return probeModel(
      name,
      (transcriptionFormat) =>
        new UpstreamEngine({ ...shared, model: anything, canContinue: true, transcriptionFormat }),
      signal,
    );
  });
  if (probed.abilities.length === 0) {
    throw refuse(server.url, `its model ${name} answers nothing it was asked`);
  }
  if (!probed.isCertain) {
    const fields = { model: name, server: dialects[kind].title };
    log("warn", "Its server failed to answer some of it, and is asked at each start", fields);
  }
  const limits = { signal, timeoutMs: factsMs };
  const known = facts.contextTokens ?? (await loadedContext(server, kind, name, limits));
  const trained = identity.read?.gguf.contextTokens ?? Infinity;
  // What a server does not tell, the provider may.
  const told = known ?? options.contextTokensMax ?? contextTokensDefault;
  const contextTokens = Math.min(told, trained);
  const { transcriptionFormat } = probed;
  const canContinue = probed.abilities.includes("forced_prefix");
  const model = modelOf(contextTokens, withParams(probed.abilities, dialects[kind].params));
  return new UpstreamEngine({ ...shared, model, canContinue, transcriptionFormat });
}

/** What the model's file says goes over what its server says. */
function shapeOf(
  facts: ModelFacts,
  { digest, identity, read }: ModelIdentity,
): Omit<EngineModel, "slots" | "contextTokens" | "abilities"> {
  const gguf = read?.gguf;
  return {
    digest,
    identity,
    quantization: (gguf?.quantization ?? facts.quantization ?? "unknown").slice(0, 32),
    parameterCount: gguf?.parameterCount ?? facts.parameterCount ?? 0,
    weightBytes: gguf?.weightBytes ?? facts.weightBytes,
    architecture: (gguf?.architecture ?? facts.architecture ?? "unknown").slice(0, 64),
  };
}

/** Fields of sampling belong to models that sample. */
function withParams(abilities: readonly Ability[], params: readonly string[]): Ability[] {
  const samples = abilities.includes("chat") || abilities.includes("completions");
  const fields = samples ? params.map((name): Ability => `param:${name}`) : [];
  return [...abilities, ...fields];
}

function refuse(url: string, reason: string, cause?: unknown): EngineError {
  const options = cause === undefined ? undefined : { cause };
  return new EngineError("engine_failed", `Cannot serve models of ${url}: ${reason}`, options);
}
