import type { AgentStatus, ModelStatus } from "../state/status-file.ts";

/** Prometheus' text format, version 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats). */
export const prometheusContentType = "text/plain; version=0.0.4; charset=utf-8";

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number];

interface Family {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
  readonly samples: readonly Sample[];
}

/** A worker's status as metrics. Counters begin at 0 with the process, as Prometheus expects. */
export function prometheusText(status: AgentStatus): string {
  return [...workerFamilies(status), ...modelFamilies(status.models)].map(familyText).join("");
}

function workerFamilies(status: AgentStatus): Family[] {
  const { version, worker, connection, availability, today } = status;
  return [
    gauge("octo_worker_info", "What runs; always 1.", [[{ version, worker }, 1]]),
    gauge("octo_worker_connected", "1 while the connection to the edge serves.", [
      [{}, connection === "serving" ? 1 : 0],
    ]),
    gauge("octo_worker_available", "1 while its provider lets it work.", [
      [{}, availability.kind === "open" ? 1 : 0],
    ]),
    counter("octo_worker_prompt_tokens_total", "Tokens of prompts read.", [
      [{}, status.prompt_tokens],
    ]),
    counter("octo_worker_completion_tokens_total", "Tokens of answers written.", [
      [{}, status.completion_tokens],
    ]),
    gauge("octo_worker_gross_today_micros", "Earned today at list price, in micros.", [
      [{}, today.gross_micros],
    ]),
    gauge("octo_worker_receipts_pending", "Receipts the edge has not acknowledged.", [
      [{}, status.pending_receipts],
    ]),
    gauge("process_resident_memory_bytes", "Memory of this process.", [[{}, status.rss_bytes]]),
    gauge("process_start_time_seconds", "When it started, in seconds since 1970.", [
      [{}, status.started_ms / 1_000],
    ]),
  ];
}

function modelFamilies(models: readonly ModelStatus[]): Family[] {
  const each = (value: (model: ModelStatus) => number): Sample[] =>
    models.map((model) => [{ model: model.name }, value(model)]);
  return [
    counter(
      "octo_worker_tasks_total",
      "Tasks that ended, by model and outcome.",
      models.flatMap(({ name, tasks }) =>
        Object.entries(tasks).map(([outcome, count]): Sample => [{ model: name, outcome }, count]),
      ),
    ),
    gauge(
      "octo_worker_slots",
      "Tasks a model runs at once.",
      each((model) => model.slots),
    ),
    gauge(
      "octo_worker_running",
      "Tasks that run now.",
      each((model) => model.running),
    ),
    gauge(
      "octo_worker_waiting",
      "Tasks that wait for a slot.",
      each((model) => model.waiting),
    ),
    gauge(
      "octo_worker_tokens_per_second",
      "Tokens a second just now.",
      each((model) => model.tokens_per_s),
    ),
    gauge(
      "octo_worker_listed",
      "1 while the edge lists it.",
      each(({ listed }) => (listed ? 1 : 0)),
    ),
    gauge(
      "octo_worker_loaded",
      "1 while it is in memory.",
      each(({ loaded }) => (loaded ? 1 : 0)),
    ),
    gauge(
      "octo_worker_failing",
      "1 while tasks of it would fail.",
      each(({ health }) => (health === "failing" ? 1 : 0)),
    ),
    gauge(
      "octo_worker_model_memory_bytes",
      "Memory it takes, where this process holds it.",
      models.flatMap(({ name, memory_bytes: bytes }): Sample[] =>
        bytes === null ? [] : [[{ model: name }, bytes]],
      ),
    ),
  ];
}

function gauge(name: string, help: string, samples: readonly Sample[]): Family {
  return { name, type: "gauge", help, samples };
}

function counter(name: string, help: string, samples: readonly Sample[]): Family {
  return { name, type: "counter", help, samples };
}

function familyText({ name, type, help, samples }: Family): string {
  if (samples.length === 0) return "";
  const lines = samples.map(([labels, value]) => `${name}${labelText(labels)} ${value}\n`);
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`;
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
