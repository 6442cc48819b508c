/** One thing a worker can be told, and where. */
export interface Setting {
  readonly flag: string;
  readonly env: string;
  /** The key in config.json. */
  readonly file: string;
  readonly fallback: string;
  /** What a value looks like in `--help`; null for a switch that takes none. */
  readonly shape: string | null;
  readonly help: string;
}

export const settings = {
  edge: {
    flag: "edge",
    env: "OCTO_EDGE",
    file: "edge",
    fallback: "http://localhost:8787",
    shape: "URL",
    help: "the network's edge",
  },
  model: {
    flag: "model",
    env: "OCTO_MODEL",
    file: "model",
    fallback: "octo-tiny",
    shape: "SOURCE",
    help: "octo-tiny, a .gguf file, hf:OWNER/REPOSITORY/FILE.gguf or https://…; may be repeated",
  },
  as: {
    flag: "as",
    env: "OCTO_AS",
    file: "as",
    fallback: "",
    shape: "NAME",
    help: "list the model before it under this name",
  },
  priceInput: {
    flag: "price-input",
    env: "OCTO_PRICE_INPUT",
    file: "price_input",
    fallback: "0.02",
    shape: "PRICE",
    help: "credits for a million prompt tokens (0.05), or micros (50000micros)",
  },
  priceOutput: {
    flag: "price-output",
    env: "OCTO_PRICE_OUTPUT",
    file: "price_output",
    fallback: "0.06",
    shape: "PRICE",
    help: "credits for a million tokens of answers, or micros",
  },
  slots: {
    flag: "slots",
    env: "OCTO_SLOTS",
    file: "slots",
    fallback: "auto",
    shape: "N",
    help: "answers at once, of each model; `auto` is what is measured to be best here",
  },
  benchmark: {
    flag: "benchmark",
    env: "OCTO_BENCHMARK",
    file: "benchmark",
    fallback: "auto",
    shape: "WHEN",
    help: "auto (measure a model once), always (at every start) or never",
  },
  context: {
    flag: "context",
    env: "OCTO_CONTEXT",
    file: "context",
    fallback: "model",
    shape: "TOKENS",
    help: "the most context of one answer; `model` is what it was trained for",
  },
  threads: {
    flag: "threads",
    env: "OCTO_THREADS",
    file: "threads",
    fallback: "auto",
    shape: "N",
    help: "processor threads; `auto` is the physical cores less one",
  },
  gpu: {
    flag: "gpu",
    env: "OCTO_GPU",
    file: "gpu",
    fallback: "auto",
    shape: "auto|none",
    help: "whether to use graphics processors",
  },
  class: {
    flag: "class",
    env: "OCTO_CLASS",
    file: "class",
    fallback: "public",
    shape: "CLASS",
    help: "the most secret class to serve: public, shared, confidential or private",
  },
  account: {
    flag: "account",
    env: "OCTO_ACCOUNT",
    file: "account",
    fallback: "own",
    shape: "ACCOUNT",
    help: "the account that earns (acct_…); `own` is one of this worker's own",
  },
  stateDir: {
    flag: "state-dir",
    env: "OCTO_WORKER_HOME",
    file: "state_dir",
    fallback: "~/.octo-worker",
    shape: "FOLDER",
    help: "where the identity, models and receipts are kept",
  },
  drain: {
    flag: "drain",
    env: "OCTO_DRAIN_S",
    file: "drain_s",
    fallback: "30",
    shape: "SECONDS",
    help: "how long running answers may take to end when the worker is stopped",
  },
  insecure: {
    flag: "insecure",
    env: "OCTO_INSECURE",
    file: "insecure",
    fallback: "false",
    shape: null,
    help: "allow an http edge on another machine",
  },
  logLevel: {
    flag: "log-level",
    env: "OCTO_LOG_LEVEL",
    file: "log_level",
    fallback: "info",
    shape: "LEVEL",
    help: "debug, info, warn or error",
  },
  logFile: {
    flag: "log-file",
    env: "OCTO_LOG_FILE",
    file: "log_file",
    fallback: "none",
    shape: "FILE",
    help: "also write the log to this file, as JSON lines; it is rotated at 10 MiB, five are kept",
  },
  json: {
    flag: "json",
    env: "OCTO_JSON",
    file: "json",
    fallback: "false",
    shape: null,
    help: "write JSON",
  },
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof settings;

/** The names of all settings, in the order `--help` shows them. */
export const settingNames = Object.keys(settings).filter((name): name is SettingName =>
  Object.hasOwn(settings, name),
);
