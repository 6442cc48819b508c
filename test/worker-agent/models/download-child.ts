import { downloadFile } from "../../../worker-agent/models/download.ts";

/** A process of its own that downloads, to be killed or held to a limit: URL FOLDER [SHA-256]. */
const [url = "", folder = "", sha256] = process.argv.slice(2);
try {
  await downloadFile({
    url,
    folder,
    fileName: "model.gguf",
    sha256: sha256 ?? null,
    token: null,
    digestFolder: null,
    signal: new AbortController().signal,
    transfer: { pieceBytesLeast: 64 << 10, attemptsMax: 2, firstRetryMs: 1 },
  });
  process.stdout.write("done\n");
} catch (error) {
  process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
