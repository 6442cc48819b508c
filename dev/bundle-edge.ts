import { build, stop } from "esbuild";

/**
 * The edge as one ES module, as `wrangler deploy` would make it: the platform's own modules stay
 * outside.
 */
export async function bundleEdge(entry: string): Promise<string> {
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
  });
  // Its process would stay for the next build, and there is none.
  await stop();
  const file = result.outputFiles[0];
  if (file === undefined) throw new Error("Cannot bundle the edge: esbuild wrote nothing");
  return file.text;
}
