import { join, resolve } from "node:path";
import type { LogLevel } from "../shared/log.ts";
import type { Price } from "../shared/money.ts";
import type { Class } from "../shared/protocol/listing.ts";
import { folderSourceName } from "./models/folder-source.ts";
import { publicHubUrl } from "./models/hub.ts";
import type { ModelSource } from "./models/model-source.ts";
import { parseModelSource } from "./models/model-source.ts";
import { shownUrl } from "./models/shown-url.ts";
import { hubChoiceName } from "./models/hub-source.ts";
import { isStored } from "./models/store.ts";
import { ModelError } from "./models/model-error.ts";
import type { Found, Inputs } from "./cli/find-settings.ts";
import { findSetting } from "./cli/find-settings.ts";
import { ConfigError } from "./cli/config-error.ts";
import * as guest from "./cli/guest-forms.ts";
import * as form from "./cli/setting-forms.ts";
import { defaultThreads } from "./hardware/hardware.ts";
import type { AvailabilitySettings } from "./serving/availability.ts";
import type { MemoryLimit } from "./serving/memory-limit.ts";
import { listedName } from "./upstream/listed-name.ts";
import type { UpstreamSettings } from "./upstream/upstream-settings.ts";
import { readUpstream } from "./upstream/upstream-settings.ts";

export interface ConfiguredModel {
  /** The name it is listed under. */
  readonly name: string;
  readonly source: ModelSource;
}

/** Everything a worker can be told, with nothing optional left. */
export interface Config {
  /** Without a slash at its end. */
  readonly edge: string;
  readonly models: readonly ConfiguredModel[];
  /** Other servers, whose models are served too or instead. */
  readonly upstream: UpstreamSettings;
  readonly price: Price;
  /** Of each model; where they are to be measured, what it has before that. */
  readonly slots: number;
  readonly areSlotsMeasured: boolean;
  readonly benchmark: "auto" | "always" | "never";
  /** The most context a slot gets; null is what the model was trained for. */
  readonly contextTokensMax: number | null;
  readonly threads: number;
  readonly gpu: "auto" | "none";
  /** Guesses ahead for the model; null for none. */
  readonly draft: ModelSource | null;
  /** A file with a chat template in place of the models' own; null leaves them theirs. */
  readonly chatTemplateFile: string | null;
  readonly classCeiling: Class;
  /** The account that earns; null is the worker's own. */
  readonly account: string | null;
  readonly stateDir: string;
  readonly logLevel: LogLevel;
  readonly json: boolean;
  /** The port of this machine that metrics are served on; null is none. */
  readonly metricsPort: number | null;
  /** Where the log is written too; null is nowhere. */
  readonly logFile: string | null;
  readonly drainMs: number;
  /** When tasks are taken. */
  readonly availability: AvailabilitySettings;
  /** A model nobody asked for so long is unloaded; null keeps all of them loaded. */
  readonly idleUnloadMs: number | null;
  readonly memory: MemoryLimit;
  /** `low` lets every other program go first. */
  readonly priority: "low" | "normal";
  /** HF_ENDPOINT, a mirror of Hugging Face; without a slash at its end. */
  readonly hubUrl: string;
  /** HF_TOKEN, for gated models of Hugging Face. */
  readonly hubToken: string | null;
}

/** Enough to batch, few enough for any machine that the model itself fits. */
const slotsUnmeasured = 4;

/**
 * The configuration by flag, else environment, else file, else default. Throws ConfigError, which
 * names where the wrong value came from and the accepted form.
 */
export function readConfig(inputs: Inputs): Config {
  const find = <Value>(name: Parameters<typeof findSetting>[0], parse: form.Form<Value>): Value =>
    parse(findSetting(name, inputs));
  const isInsecure = find("insecure", form.flag);
  const models = findSetting("model", inputs);
  const upstream = readUpstream(inputs, models.level !== "default");
  // The bundled model stands in where nobody names any.
  const areOthersMeant = upstream.look === "given" && models.level === "default";
  const stateDir = resolve(find("stateDir", form.path(inputs.home)));
  const modelsFolder = join(stateDir, "models");
  const slots = find("slots", form.orWord("auto", form.integer(1, 256)));
  return {
    edge: find("edge", form.edge(isInsecure)),
    models: areOthersMeant ? [] : readModels(models, findSetting("as", inputs), modelsFolder),
    upstream,
    price: {
      inputMicrosPerMillion: find("priceInput", form.price),
      outputMicrosPerMillion: find("priceOutput", form.price),
    },
    slots: slots ?? slotsUnmeasured,
    areSlotsMeasured: slots === null,
    benchmark: find("benchmark", form.choice(["auto", "always", "never"])),
    contextTokensMax: find("context", form.orWord("model", form.integer(256, 100_000_000))),
    threads: find("threads", form.orWord("auto", form.integer(1, 1024))) ?? defaultThreads(),
    gpu: find("gpu", form.choice(["auto", "none"])),
    draft: readDraft(findSetting("draft", inputs), models),
    chatTemplateFile: find("chatTemplate", form.orWord("own", form.file(inputs.home))),
    classCeiling: find("class", form.choice(["public", "shared", "confidential", "private"])),
    account: find("account", form.orWord("own", form.account)),
    stateDir,
    logLevel: find("logLevel", form.choice(["debug", "info", "warn", "error"])),
    json: find("json", form.flag),
    metricsPort: find("metrics", form.orWord("none", form.integer(0, 65_535))),
    logFile: find("logFile", form.orWord("none", form.file(inputs.home))),
    drainMs: 1_000 * find("drain", form.integer(0, 3_600)),
    availability: {
      hours: find("hours", form.orWord("always", guest.hours)),
      maxLoad: find("maxLoad", form.orWord("none", form.integer(1, 99))),
      yieldsGpu: find("yieldGpu", form.flag),
    },
    idleUnloadMs: inMs(find("idleUnload", form.orWord("never", form.integer(1, 100_000)))),
    memory: find("memory", guest.memory),
    priority: find("priority", form.choice(["low", "normal"])),
    hubUrl: readHubUrl(inputs.env["HF_ENDPOINT"] ?? ""),
    // Set to nothing is how a shell or a container's file takes it away.
    hubToken: inputs.env["HF_TOKEN"] || null,
  };
}

/** The token goes there, so it is never a plain http host of somebody else's. */
function readHubUrl(text: string): string {
  if (text === "") return publicHubUrl;
  const url = URL.canParse(text) ? new URL(text) : null;
  const isSafe = url?.protocol === "https:" || (url?.protocol === "http:" && form.isLoopback(url));
  const hasPassword = url !== null && url.username + url.password !== "";
  const rule = hasPassword ? "it holds a password" : "it must be an https URL";
  if (url !== null && isSafe && !hasPassword) return url.href.replace(/\/+$/, "");
  throw new ConfigError(`Cannot use ${JSON.stringify(shownUrl(text))} from HF_ENDPOINT: ${rule}`);
}

function inMs(minutes: number | null): number | null {
  return minutes === null ? null : minutes * 60_000;
}

function readModels(sources: Found, names: Found, modelsFolder: string): ConfiguredModel[] {
  const models = sources.texts.map((text, at): ConfiguredModel => {
    // A model kept on this machine goes by its name, before any file that happens to have it.
    const isKept = isStored(modelsFolder, text);
    const source = isKept ? { kind: "stored" as const, name: text } : readSource(text, sources);
    // Names belong to the models they were given with: a file's do not name a flag's models.
    const given = names.level === sources.level ? (names.texts[at] ?? "") : "";
    return { source, name: given === "" ? modelName(source) : form.modelName(given, names) };
  });
  const seen = new Set<string>();
  for (const { name } of models) {
    if (seen.has(name)) {
      throw new ConfigError(
        `Cannot list two models as ${JSON.stringify(name)} (${sources.from}): name one with --as`,
      );
    }
    seen.add(name);
  }
  return models;
}

/** A draft model's guesses are of one vocabulary, so that it serves one model. */
function readDraft(found: Found, models: Found): ModelSource | null {
  const [text = "none"] = found.texts;
  if (text === "none") return null;
  if (models.texts.length > 1) {
    throw new ConfigError(
      `Cannot use --draft for ${models.texts.length} models (from ${found.from}): name one --model`,
    );
  }
  return readSource(text, found);
}

function readSource(text: string, found: Found): ModelSource {
  try {
    return parseModelSource(text);
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    throw new ConfigError(`${error.message} (from ${found.from})`, { cause: error });
  }
}

/** What a source is listed as when nobody says: its file's name without `.gguf`. */
export function modelName(source: ModelSource): string {
  switch (source.kind) {
    case "bundled":
    case "synthetic":
      return source.name;
    case "upstream":
      return listedName(source.model);
    case "file":
      return fileName(source.path);
    case "stored":
      return source.name;
    case "hub":
      return fileName(source.file);
    case "hub-choice":
      return fileName(hubChoiceName(source));
    case "url":
      return fileName(decodeURIComponent(new URL(source.url).pathname));
    case "onnx":
      return fileName(folderSourceName(source));
  }
}

function fileName(path: string): string {
  const last = path.split(/[/\\]/).at(-1) ?? "";
  const bare = last.replace(/\.gguf$/i, "").replaceAll(/[^A-Za-z0-9._:-]/g, "-");
  return bare.replace(/^[^A-Za-z0-9]+/, "").slice(0, 128) || "model";
}
