import { chmod, readFile, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Makes what is published: one file for every Node from 20 on. */
async function buildPackage(): Promise<void> {
  await rm(here("dist"), { recursive: true, force: true });
  const { metafile } = await build({
    entryPoints: { octo: here("octo.ts") },
    outdir: here("dist"),
    absWorkingDir: here("."),
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    metafile: true,
    logLevel: "warning",
  });
  await chmod(here("dist/octo.js"), 0o755);
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
