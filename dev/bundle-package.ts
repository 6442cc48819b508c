import { chmod, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { build, type BuildOptions } from "esbuild";

export interface PackageBundle {
  /** The package's folder; what is published is made in its `dist`. */
  readonly folder: string;
  /** Files of the package by the names they have when they are bundled. */
  readonly entryPoints: Readonly<Record<string, string>>;
  /** The one of them that people run. */
  readonly command: string;
  readonly options?: Pick<BuildOptions, "external" | "banner">;
}

/** Makes what is published of a package: one file an entry, for every Node from 20 on. */
export async function bundlePackage(of: PackageBundle): Promise<void> {
  const { folder, command, options } = of;
  const entries = Object.entries(of.entryPoints);
  const dist = join(folder, "dist");
  await rm(dist, { recursive: true, force: true });
  const { metafile } = await build({
    ...options,
    entryPoints: Object.fromEntries(entries.map(([name, path]) => [name, join(folder, path)])),
    outdir: dist,
    absWorkingDir: folder,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    metafile: true,
    logLevel: "warning",
  });
  await chmod(join(dist, `${command}.js`), 0o755);
  const papers = await licenses(folder, Object.keys(metafile.inputs));
  await writeFile(join(dist, "licenses.txt"), papers);
}

/** The licences of what is bundled, which ask to be passed on with it. */
async function licenses(folder: string, inputs: readonly string[]): Promise<string> {
  const packages = new Map<string, string>();
  for (const input of inputs) {
    const [place, name] = /^.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(input) ?? [];
    if (place !== undefined && name !== undefined) packages.set(name, place);
  }
  const texts: string[] = [];
  for (const [name, place] of [...packages].sort()) {
    texts.push(`${name}\n\n${await readFile(join(folder, place, "LICENSE"), "utf8")}`);
  }
  return texts.join("\n----\n\n");
}
