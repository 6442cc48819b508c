import type { AgentStatus, ModelStatus } from "../state/status-file.ts";
import { inMebibytes } from "./check.ts";
import type { Terminal } from "./terminal.ts";

/** A status as lines for people, its facts in the order in which they are missed. */
export function describeStatus(
  status: AgentStatus,
  { paint }: Pick<Terminal, "paint">,
  nowMs: number,
): string[] {
  const isServing = status.connection === "serving";
  const state = status.draining ? "leaving" : isServing ? "connected" : status.connection;
  const place = isServing ? ` in ${status.region ?? "?"}, hub ${status.hub ?? "?"}` : "";
  const since =
    status.connected_ms === null ? "" : `, for ${duration(nowMs - status.connected_ms)}`;
  const { today } = status;
  return [
    `Worker    ${paint("bold", status.worker)}`,
    `Edge      ${status.edge}: ${paint(isServing ? "green" : "yellow", state)}${place}${since}`,
    ...(status.account === null ? [] : [`Account   ${status.account}`]),
    `Work      ${work(status, paint, nowMs)}`,
    "",
    ...modelTable(status.models, paint),
    ...status.unserved.map(({ name, reason }) => paint("red", `  ${name}: ${reason}`)),
    "",
    `Now       ${rate(status.tokens_per_s)} tokens/s, ${running(status.models)} tasks running`,
    `Today     ${tasks(today.tasks)}; ${whole(today.prompt_tokens)} tokens read, ` +
      `${whole(today.completion_tokens)} written; ` +
      `${credits(today.gross_micros)} credits at list price`,
    `In all    ${tasks(status.tasks)} in ${duration(nowMs - status.started_ms)}; ` +
      `${status.pending_receipts} receipts not acknowledged yet; ` +
      `${inMebibytes(status.rss_bytes)} of memory`,
    ...lastLoss(status, nowMs).map((line) => paint("dim", line)),
  ];
}

function work(status: AgentStatus, paint: Terminal["paint"], nowMs: number): string {
  const { availability, no_work: none } = status;
  if (availability.kind === "closed") {
    const { reason, until_ms: until } = availability;
    const rest = until === null ? "" : `, for ${duration(until - nowMs)} more`;
    return paint("yellow", `${reason}${rest}`);
  }
  return none === null ? paint("green", "takes tasks") : paint("yellow", none);
}

function modelTable(models: readonly ModelStatus[], paint: Terminal["paint"]): string[] {
  const head = [
    "MODEL",
    "STATE",
    "SLOTS",
    "TOK/S",
    "DONE",
    "FAILED",
    "CONTEXT",
    "WEIGHTS",
    "ENGINE",
  ];
  const rows = models.map((model) => [
    model.name,
    stateOf(model),
    `${model.running}/${model.slots}${model.waiting === 0 ? "" : ` +${model.waiting}`}`,
    rate(model.tokens_per_s),
    String(model.tasks.complete),
    String(model.tasks.failed),
    String(model.context_tokens),
    model.quantization,
    model.engine,
  ]);
  const widths = head.map((name, column) =>
    Math.max(name.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  const reasons = models.flatMap(({ name, listed, not_listed: why }) =>
    listed || why === null ? [] : [paint("yellow", `  ${name}: ${why}`)],
  );
  return [paint("dim", line(head)), ...rows.map(line), ...reasons];
}

function stateOf({ listed, health }: ModelStatus): string {
  if (health === "failing") return "failing";
  if (!listed) return "not listed";
  return health === "unloaded" ? "asleep" : "listed";
}

function running(models: readonly ModelStatus[]): number {
  return models.reduce((sum, model) => sum + model.running, 0);
}

function tasks(counts: AgentStatus["tasks"]): string {
  const { complete, cancelled, failed } = counts;
  return `${complete} answers, ${cancelled} cancelled, ${failed} failed`;
}

/** The last time the connection broke, as long as it is news. */
function lastLoss(status: AgentStatus, nowMs: number): string[] {
  const lost = status.connections.findLast(({ kind }) => kind === "disconnected");
  if (lost === undefined) return [];
  return ["", `Last lost ${duration(nowMs - lost.at_ms)} ago: ${lost.detail}`];
}

/** `42 s`, `7 min`, `3 h 5 min`, `2 d 4 h`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

function rate(perSecond: number): string {
  return perSecond >= 100 ? String(Math.round(perSecond)) : perSecond.toFixed(1);
}

function whole(count: number): string {
  return count.toLocaleString("en-US");
}

/** Micros as credits, to a cent of a cent: a small model earns less than a credit a day. */
function credits(micros: number): string {
  return (micros / 1_000_000).toFixed(4);
}
