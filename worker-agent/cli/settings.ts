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
    help: "octo-tiny, a .gguf file, hf:OWNER/REPO/FILE.gguf, https://… or onnx:…; repeatable",
  },
  as: {
    flag: "as",
    env: "OCTO_AS",
    file: "as",
    fallback: "",
    shape: "NAME",
    help: "list the model before it under this name",
  },
  upstream: {
    flag: "upstream",
    env: "OCTO_UPSTREAM",
    file: "upstream",
    fallback: "auto",
    shape: "URL",
    help: "serve another server's models; `auto` looks here if no --model is given; or `none`",
  },
  upstreamModel: {
    flag: "upstream-model",
    env: "OCTO_UPSTREAM_MODEL",
    file: "upstream_model",
    fallback: "",
    shape: "NAME",
    help: "only this model of theirs (NAME=LISTED, or --as, to rename it); may be repeated",
  },
  allowUpstream: {
    flag: "allow-upstream",
    env: "OCTO_ALLOW_UPSTREAM",
    file: "allow_upstream",
    fallback: "",
    shape: "HOST",
    help: "another machine of yours whose server --upstream may name; may be repeated",
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
  draft: {
    flag: "draft",
    env: "OCTO_DRAFT",
    file: "draft",
    fallback: "none",
    shape: "SOURCE",
    help: "a small GGUF model of the same family that guesses ahead for the model",
  },
  chatTemplate: {
    flag: "chat-template",
    env: "OCTO_CHAT_TEMPLATE",
    file: "chat_template",
    fallback: "own",
    shape: "FILE",
    help: "a Jinja template in place of a GGUF model's `own`; it makes another model of it",
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
    help: "the account that earns (acct_…) and has taken it on; `own` is one of its own",
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
  hours: {
    flag: "hours",
    env: "OCTO_HOURS",
    file: "hours",
    fallback: "always",
    shape: "HOURS",
    help: "when to take tasks, in local time: `22:00-07:00, Sat-Sun`, `Mon-Fri 18:00-23:00`",
  },
  maxLoad: {
    flag: "max-load",
    env: "OCTO_MAX_LOAD",
    file: "max_load",
    fallback: "none",
    shape: "PERCENT",
    help: "take no tasks while other programs use more of the processors or the GPU",
  },
  yieldGpu: {
    flag: "yield-gpu",
    env: "OCTO_YIELD_GPU",
    file: "yield_gpu",
    fallback: "false",
    shape: null,
    help: "take no tasks while another program works on the GPU (NVIDIA), and give it the memory",
  },
  idleUnload: {
    flag: "idle-unload",
    env: "OCTO_IDLE_UNLOAD",
    file: "idle_unload",
    fallback: "15",
    shape: "MINUTES",
    help: "unload a model nobody asked for, if it loads within 5 s again; or `never`",
  },
  memory: {
    flag: "memory",
    env: "OCTO_MEMORY",
    file: "memory",
    fallback: "90%",
    shape: "LIMIT",
    help: "what models may take: a share of what is free when one is loaded, or 8GiB for all",
  },
  priority: {
    flag: "priority",
    env: "OCTO_PRIORITY",
    file: "priority",
    fallback: "low",
    shape: "low|normal",
    help: "`low` lets every other program go first",
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
  metrics: {
    flag: "metrics",
    env: "OCTO_METRICS",
    file: "metrics",
    fallback: "none",
    shape: "PORT",
    help: "serve Prometheus metrics to this machine at http://127.0.0.1:PORT/metrics",
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

/** Settings that may be said several times: by flags, with commas in a variable, as a list. */
export const listSettings: ReadonlySet<SettingName> = new Set([
  "model",
  "as",
  "upstream",
  "upstreamModel",
  "allowUpstream",
]);

/** The names of all settings, in the order `--help` shows them. */
export const settingNames = Object.keys(settings).filter((name): name is SettingName =>
  Object.hasOwn(settings, name),
);
