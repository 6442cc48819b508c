import { freemem } from "node:os";
import { assert } from "../../shared/assert.ts";
import type { Log } from "../../shared/log.ts";
import type { Hardware } from "../../shared/protocol/listing.ts";
import type { Benchmark } from "../benchmark/benchmark.ts";
import { bestSlots, threeDigits } from "../benchmark/benchmark.ts";
import { BenchmarkCache } from "../benchmark/benchmark-cache.ts";
import { findMeasured, measureSettings } from "../benchmark/open-measured.ts";
import type { Config, ConfiguredModel } from "../config.ts";
import { readConfig } from "../config.ts";
import { hardwareOf, readMachine } from "../hardware/machine.ts";
import { makeStateDir } from "../identity.ts";
import { lockOwner } from "../state/lock.ts";
import { openEngines } from "../tasks/open-engines.ts";
import { withUpstreams } from "../upstream/find-upstreams.ts";
import { inMebibytes } from "./check.ts";
import type { Inputs } from "./find-settings.ts";
import { memoryInWords } from "./memory-in-words.ts";
import type { Terminal } from "./terminal.ts";

/** What was measured of one model, as `--json` prints it. */
interface Report {
  readonly model: string;
  readonly engine: string;
  readonly digest: string;
  readonly quantization: string;
  readonly context_tokens: number;
  readonly memory: string | null;
  /** Null for a model that cannot be measured. */
  readonly benchmark: (Benchmark & { readonly best_slots: number }) | null;
}

/** Measures every configured model anew. */
export async function bench(inputs: Inputs, terminal: Terminal): Promise<number> {
  const settings: Config = { ...readConfig(inputs), benchmark: "always" };
  const leaving = new AbortController();
  const onSignal = () => leaving.abort(new Error("stopped"));
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  try {
    await makeStateDir(settings.stateDir);
    const config = await withUpstreams(settings, leaving.signal, stepLog(terminal));
    const hardware = hardwareOf(await readMachine(), config.gpu);
    const owner = await lockOwner(config.stateDir);
    if (owner !== null) {
      const busy = `octo-worker runs here (process ${owner.pid}): what it does slows this down`;
      terminal.error(terminal.paint("yellow", busy));
    }
    if (!config.json) for (const line of machineLines(hardware)) terminal.write(line);
    const reports: Report[] = [];
    for (const model of config.models) {
      const report = await benchOne(model, { config, hardware, terminal }, leaving.signal);
      reports.push(report);
      if (!config.json) for (const line of reportLines(report, terminal)) terminal.write(line);
    }
    if (config.json) terminal.write(JSON.stringify({ hardware, models: reports }));
    return reports.every(({ benchmark }) => benchmark !== null) ? 0 : 1;
  } catch (error) {
    // Ctrl-C: what was loaded is given back, and what was measured is kept.
    if (!leaving.signal.aborted) throw error;
    terminal.error("Stopped before everything was measured");
    return 1;
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  }
}

async function benchOne(
  model: ConfiguredModel,
  to: { readonly config: Config; readonly hardware: Hardware; readonly terminal: Terminal },
  signal: AbortSignal,
): Promise<Report> {
  const { config, hardware, terminal } = to;
  const log = stepLog(terminal);
  const freeBytes = freemem();
  await using opened = await openEngines({ ...config, models: [model] }, signal, log, hardware);
  const [served] = opened.engines;
  assert(served !== undefined, "openEngines throws where no model can be loaded");
  const { engine } = served;
  const cache = await BenchmarkCache.open(config.stateDir, log);
  const benchmark = findMeasured(engine, measureSettings(config, hardware), cache);
  return {
    model: model.name,
    engine: engine.kind,
    digest: engine.model.digest,
    quantization: engine.model.quantization,
    context_tokens: engine.model.contextTokens,
    memory: memoryInWords(model.source, config, engine.model, freeBytes),
    benchmark: benchmark === null ? null : { ...benchmark, best_slots: bestSlots(benchmark) },
  };
}

/** Warnings, and for somebody who watches each step: neither is part of the result. */
function stepLog(terminal: Terminal): Log {
  return (level, message, fields = {}) => {
    const { step, error, model } = fields;
    if (level === "warn" || level === "error") {
      terminal.error(error === undefined ? message : `${message}: ${String(error)}`);
    } else if (terminal.isInteractive && (step !== undefined || level === "info")) {
      const what = [message, model, step].filter((part) => part !== undefined).join(" ");
      terminal.error(terminal.paint("dim", what));
    }
  };
}

function machineLines(hardware: Hardware): string[] {
  const { cpu, physical_cores: cores, memory_bytes: bytes, gpus, tier } = hardware;
  return [
    `Machine   ${cpu}, ${cores === 1 ? "1 core" : `${cores} cores`}, ${inMebibytes(bytes)}`,
    ...gpus.map((gpu) => {
      const driver = gpu.driver === null ? "" : `, driver ${gpu.driver}`;
      return `GPU       ${gpu.name}, ${inMebibytes(gpu.memory_bytes)}${driver}`;
    }),
    `Tier      ${tier}`,
  ];
}

function reportLines(report: Report, { paint }: Terminal): string[] {
  const { model, engine, quantization, context_tokens: context, memory, benchmark } = report;
  const lines = ["", `${paint("bold", model)} (${engine}, ${quantization}, ${context} tokens)`];
  if (memory !== null) lines.push(`  Memory          ${memory}`);
  if (benchmark === null) return [...lines, `  ${paint("yellow", "not measured")}`];
  const { unit, best_slots: best, contextTokens: tested, contextFault, loadFault } = benchmark;
  const isText = unit === "tokens";
  lines.push(
    `  First ${isText ? "token     " : "result    "}${inDigits(benchmark.firstMs)} ms`,
    ...(benchmark.promptTokensPerS === 0
      ? []
      : [`  Prompt          ${inDigits(benchmark.promptTokensPerS)} tokens/s`]),
    `  Alone           ${inDigits(benchmark.perSecond)} ${unit}/s`,
    "",
    `  at once  ${`${unit}/s`.padStart(20)}  ${"each".padStart(8)}`,
  );
  for (const { streams, perSecond } of benchmark.curve) {
    const cells = `${String(streams).padStart(7)}  ${inDigits(perSecond).padStart(20)}`;
    const each = inDigits(perSecond / streams).padStart(8);
    const mark = streams === best ? paint("green", "  best") : "";
    lines.push(`  ${cells}  ${each}${mark}`);
  }
  if (loadFault !== null) lines.push(`  ${paint("yellow", `more fail: ${loadFault}`)}`);
  lines.push("", `  Best slots      ${best}`);
  const rest = tested >= 0.85 * context ? "" : ", as far as the time went";
  const fault = contextFault === null ? rest : `; longer ones fail: ${contextFault}`;
  if (tested > 0) lines.push(`  Context tested  ${tested} of ${context} tokens${fault}`);
  return [...lines, `  Took            ${inDigits(benchmark.tookMs / 1_000)} s`];
}

function inDigits(value: number): string {
  return String(threeDigits(value));
}
