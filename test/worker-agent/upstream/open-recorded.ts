import type { Engine } from "../../../worker-agent/engine/engine.ts";
import type { OpenUpstreamOptions } from "../../../worker-agent/upstream/open-upstream.ts";
import { openUpstream } from "../../../worker-agent/upstream/open-upstream.ts";
import { Secret } from "../../../worker-agent/upstream/secret.ts";
import { scratchFolder } from "../models/scratch-folder.ts";
import { RecordedServer, type Route } from "./recorded-server.ts";

/** A server of recorded answers, a folder, and engines on it that go with both. */
export async function openWorld(routes: Record<string, Route>) {
  const folder = await scratchFolder();
  const server = await RecordedServer.start(routes);
  const engines: Engine[] = [];
  const open = async (
    model: string,
    own: Partial<OpenUpstreamOptions> & { readonly key?: string } = {},
  ) => {
    const { key, ...options } = own;
    const secret = key === undefined ? null : new Secret(key);
    const engine = await openUpstream(
      { kind: "upstream", url: server.url, model, key: secret },
      { modelsFolder: folder.path, slots: 4, contextTokensMax: null, log: () => {}, ...options },
      new AbortController().signal,
    );
    engines.push(engine);
    return engine;
  };
  return {
    server,
    folder: folder.path,
    open,
    async [Symbol.asyncDispose]() {
      for (const engine of engines) await engine[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}
