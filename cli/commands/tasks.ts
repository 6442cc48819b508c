import { type Task, type TaskDetail, taskDetailSchema, taskSchema } from "../http/answers.ts";
import { readPages } from "../http/pages.ts";
import { writeFacts } from "../screen/facts.ts";
import { count, credits, span, time } from "../screen/in-words.ts";
import { type Column, writeTable } from "../screen/table.ts";
import { connect } from "../session/connection.ts";
import type { Call } from "../words/parse-command-line.ts";
import { wholeOf } from "../words/values.ts";
import type { World } from "../world.ts";
import { isJson, writeJson } from "./command.ts";

const taskColumns: readonly Column[] = [
  { title: "TASK" },
  { title: "WHEN" },
  { title: "KIND" },
  { title: "MODEL", canBeCut: true },
  { title: "END" },
  { title: "READ", align: "right" },
  { title: "WRITTEN", align: "right" },
  { title: "TOOK", align: "right" },
  { title: "CREDITS", align: "right" },
];

/** What was asked for last. */
export async function tasks(world: World, call: Call): Promise<number> {
  const most = wholeOf(call.options["limit"] ?? "20", "--limit", 1, 10_000);
  const { client } = await connect(world, call);
  const query = { account_id: call.options["account"] };
  const found = await readPages(client, { path: "/api/v1/tasks", item: taskSchema, most, query });
  if (isJson(call)) writeJson(world, { data: found });
  else if (found.length === 0) world.terminal.write("No task has ended yet");
  else writeTable(taskColumns, found.map(taskCells), world.terminal);
  return 0;
}

function taskCells(one: Task): string[] {
  return [
    one.id,
    time(one.created_at),
    one.kind,
    one.model,
    one.error_code ?? one.finish ?? one.state,
    count(one.prompt_tokens),
    count(one.completion_tokens),
    between(one.created_at, one.ended_at),
    credits(one.cost_micros),
  ];
}

function between(from: string, to: string): string {
  return span(Date.parse(to) - Date.parse(from));
}

/** Everything about one task. */
export async function task(world: World, call: Call): Promise<number> {
  const [id = ""] = call.args;
  const { client } = await connect(world, call);
  const path = `/api/v1/tasks/${encodeURIComponent(id)}`;
  const found = await client.get(path, taskDetailSchema, { account_id: call.options["account"] });
  if (isJson(call)) writeJson(world, found);
  else writeTask(world, found);
  return 0;
}

function writeTask({ terminal }: World, one: TaskDetail): void {
  const first = one.first_token_at;
  const facts = [
    ["Task", one.id],
    ["Kind", `${one.kind} of ${one.model}`],
    ["Weights", one.digest],
    ["When", time(one.created_at)],
    ["Took", between(one.created_at, one.ended_at)],
    ["First", first === null ? null : `token after ${between(one.created_at, first)}`],
    ["End", `${one.state}${one.finish === null ? "" : `, ${one.finish}`}`],
    ["Error", one.error_code],
    ["Tokens", `${count(one.prompt_tokens)} read, ${count(one.completion_tokens)} written`],
    ["Cost", `${credits(one.cost_micros)} credits, of ${credits(one.hold_micros)} that were held`],
    ["Key", one.key_id],
    ["Route", routeInWords(one)],
    ["Receipts", receiptsInWords(one)],
  ] as const;
  writeFacts(facts, terminal);
  if (one.attempts.length === 0) return;
  terminal.write("");
  writeTable(attemptColumns, one.attempts.map(attemptCells), terminal);
}

/** Why this worker, in a sentence. */
function routeInWords({ route, strategy, class: secrecy, region }: TaskDetail): string {
  const own = route?.own_only === true ? ", own workers only" : "";
  const asked = `${strategy}, ${secrecy}, in ${region}${own}`;
  if (route === null) return `${asked}; no worker was chosen`;
  const scores = route.candidates ?? [];
  const score = scores.find(({ worker_id: id }) => id === route.worker_id)?.score;
  const out = Object.entries(route.excluded ?? {}).map(([why, many]) => `${many} ${why}`);
  const considered =
    route.considered === undefined ? "" : `; workers considered: ${count(route.considered)}`;
  const left = out.length === 0 ? "" : `, left out: ${out.join(", ")}`;
  const chosen = score === undefined ? "" : `; the chosen one scored ${score.toFixed(3)}`;
  return `${asked}${considered}${left}${chosen}`;
}

function receiptsInWords({ receipts }: TaskDetail): string {
  if (receipts.length === 0) return "none yet";
  const attempts = receipts.map(({ attempt }) => attempt).join(", ");
  return `signed by worker and edge, of attempt ${attempts}; --json has them whole`;
}

const attemptColumns: readonly Column[] = [
  { title: "ATTEMPT", align: "right" },
  { title: "WORKER", canBeCut: true },
  { title: "OUTCOME" },
  { title: "TOKENS", align: "right" },
  { title: "FIRST", align: "right" },
  { title: "TOOK", align: "right" },
];

function attemptCells(one: TaskDetail["attempts"][number]): string[] {
  const first = one.first_token_at;
  return [
    String(one.number),
    one.worker_id,
    one.outcome,
    count(one.tokens),
    first === null ? "-" : between(one.started_at, first),
    between(one.started_at, one.ended_at),
  ];
}
