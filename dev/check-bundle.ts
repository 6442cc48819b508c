import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";

/**
 * Cloudflare refuses Workers over 3 MB gzipped; a cold start grows with every byte long before
 * that.
 */
const gzipBytesMax = 700 * 1024;

/** Builds what `wrangler deploy` would upload, and fails where it has grown too large. */
const folder = await mkdtemp(join(tmpdir(), "octo-bundle-"));
try {
  await promisify(execFile)("wrangler", ["deploy", "--dry-run", "--outdir", folder], {
    env: { ...process.env, WRANGLER_SEND_METRICS: "false" },
  });
  const files = (await readdir(folder)).filter((file) => /\.(js|mjs|wasm)$/.test(file));
  const contents = await Promise.all(files.map((file) => readFile(join(folder, file))));
  const bytes = gzipSync(Buffer.concat(contents)).length;
  process.stdout.write(
    `the edge's bundle: ${Math.round(bytes / 1024)} KiB gzipped of ${gzipBytesMax / 1024}\n`,
  );
  if (files.length === 0 || bytes > gzipBytesMax) process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}
