import { resolve } from "node:path";
import { build, type Plugin, stop } from "esbuild";

/**
 * A Worker as one ES module, as `wrangler deploy` would make it: the platform's own modules stay
 * outside. `insteadOf` gives other files for some of the edge's, for whoever measures what a part
 * of it costs.
 */
export async function bundleEdge(
  entry: string,
  insteadOf: ReadonlyMap<string, string> = new Map(),
): Promise<string> {
  const result = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2024",
    platform: "neutral",
    mainFields: ["module", "main"],
    conditions: ["workerd", "worker", "browser", "import"],
    external: ["cloudflare:*", "node:*"],
    minifySyntax: true,
    logLevel: "silent",
    plugins: [replacing(insteadOf)],
  });
  // Its process would stay for the next build, and there is none.
  await stop();
  const file = result.outputFiles[0];
  if (file === undefined) throw new Error("Cannot bundle the edge: esbuild wrote nothing");
  return file.text;
}

function replacing(insteadOf: ReadonlyMap<string, string>): Plugin {
  return {
    name: "replacing",
    setup({ onResolve }) {
      onResolve({ filter: /^\./ }, ({ path, resolveDir, importer }) => {
        const replacement = insteadOf.get(resolve(resolveDir, path));
        // What stands for a file may still use it.
        const isItself = replacement === undefined || replacement === importer;
        return isItself ? undefined : { path: replacement };
      });
    },
  };
}
