import { chmod, readFile, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/**
 * ws is CommonJS and asks for node's own modules by `require`, which an ES module has to make for
 * itself.
 */
const banner = [
  'import { createRequire as createRequireOfBundle } from "node:module";',
  "const require = createRequireOfBundle(import.meta.url);",
].join("\n");

/**
 * Makes what is published: one file for every Node from 20 on and one for its thread, with the
 * native engines left outside.
 */
async function buildPackage(): Promise<void> {
  await rm(here("dist"), { recursive: true, force: true });
  const { metafile } = await build({
    // The thread that ONNX models compute on starts from a file of its own.
    entryPoints: {
      "octo-worker": here("cli.ts"),
      "transformers-thread": here("engine/transformers/transformers-thread.ts"),
    },
    outdir: here("dist"),
    absWorkingDir: here("."),
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    // Their native binaries are found beside their own packages; each is imported only when a
    // model of its kind is loaded.
    external: ["node-llama-cpp", "@huggingface/transformers"],
    banner: { js: banner },
    metafile: true,
    logLevel: "warning",
  });
  await chmod(here("dist/octo-worker.js"), 0o755);
  await writeFile(here("dist/licenses.txt"), await licenses(Object.keys(metafile.inputs)));
}

/** The licences of what is bundled, which ask to be passed on with it. */
async function licenses(inputs: readonly string[]): Promise<string> {
  const packages = new Map<string, string>();
  for (const input of inputs) {
    const [folder, name] = /^.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(input) ?? [];
    if (folder !== undefined && name !== undefined) packages.set(name, folder);
  }
  const texts: string[] = [];
  for (const [name, folder] of [...packages].sort()) {
    texts.push(`${name}\n\n${await readFile(here(`${folder}/LICENSE`), "utf8")}`);
  }
  return texts.join("\n----\n\n");
}

await buildPackage();
