import { modelName } from "../config.ts";
import { addModel } from "../models/add-model.ts";
import { isGgufSource } from "../models/fetch-model.ts";
import type { GgufSource } from "../models/fetch-model.ts";
import { loadManifest } from "../models/model-manifest.ts";
import { ModelError } from "../models/model-error.ts";
import { parseModelSource } from "../models/model-source.ts";
import { logDownloads } from "../models/progress-log.ts";
import { isReservedName } from "../models/store.ts";
import { readFreeBytes } from "../hardware/free-memory.ts";
import { memoryAllowance } from "../serving/memory-limit.ts";
import { ConfigError } from "./config-error.ts";
import type { ModelsWorld } from "./models.ts";
import { storedInJson } from "./models-list.ts";
import type { ProgressBar } from "./progress-bar.ts";
import { bytesInWords } from "./progress-bar.ts";
import { modelName as checkedName } from "./setting-forms.ts";

/**
 * What a kept model must have room for where nobody says: with how many slots and how much context
 * it is served is decided when it is.
 */
const contextUsual = 8192;

/** Fetches a model, checks it and keeps it. */
export async function addModelCommand(world: ModelsWorld, sourceText: string): Promise<number> {
  const { config, terminal, signal, log, modelsFolder, own, bar } = world;
  const source = sourceOf(sourceText);
  const given = own["as"];
  const name =
    given === undefined
      ? modelName(source)
      : checkedName(given, { texts: [given], level: "flag", from: "--as" });
  if (isReservedName(name)) {
    throw new ConfigError(
      `Cannot keep a model as ${JSON.stringify(name)}: that is a source's name; give one with --as`,
    );
  }
  const place = own["manifest"];
  const manifest = place === undefined ? null : await loadManifest(place, signal);
  const onDownload = bar === null ? logDownloads(log) : bar.draw.bind(bar);
  const freeBytes = memoryAllowance(config.memory, await readFreeBytes(config.gpu), 0);
  const kept = await addModel({
    name,
    source,
    sourceText,
    manifest,
    options: {
      modelsFolder,
      slots: config.areSlotsMeasured ? 1 : config.slots,
      contextTokensMax: config.contextTokensMax ?? contextUsual,
      freeBytes,
      hubUrl: config.hubUrl,
      hubToken: config.hubToken,
      signal,
      log,
      onDownload: (progress) => onDownload(name, progress),
    },
    ...(bar === null ? {} : { onDigest: checkingBar(bar, name) }),
    nowMs: Date.now(),
  });
  bar?.clear();
  if (config.json) terminal.write(JSON.stringify(storedInJson(kept)));
  else {
    const size = bytesInWords(kept.files.reduce((sum, { bytes }) => sum + bytes, 0));
    terminal.write(`Kept ${name}: ${kept.architecture}, ${kept.quantization}, ${size}`);
    terminal.write(`SHA-256  ${kept.digest}`);
    if (kept.creator !== null) terminal.write(`Signed by ${kept.creator}`);
    terminal.write(`Next     octo-worker start --model ${name}`);
  }
  return 0;
}

function sourceOf(text: string): GgufSource {
  const source = parseModelSource(text);
  if (isGgufSource(source) && source.kind !== "stored") return source;
  throw new ModelError(
    "bad_source",
    `Cannot keep ${text}: only GGUF models are; name this one to octo-worker start itself`,
  );
}

/** Hashing is drawn like fetching, without a rate. */
function checkingBar(bar: ProgressBar, name: string): (done: number, total: number) => void {
  let drawnMs = Number.NEGATIVE_INFINITY;
  return (receivedBytes, totalBytes) => {
    if (performance.now() - drawnMs < drawEveryMs) return;
    drawnMs = performance.now();
    const progress = { receivedBytes, totalBytes, bytesPerSecond: 0, secondsLeft: null };
    bar.draw(`${name}: checking`, progress);
  };
}

/** Often enough for a person to watch. */
const drawEveryMs = 250;
