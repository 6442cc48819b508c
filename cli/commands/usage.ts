import { z } from "zod";
import { UsageError } from "../failures.ts";
import { count, credits } from "../screen/in-words.ts";
import { type Column, writeTable } from "../screen/table.ts";
import { connect } from "../session/connection.ts";
import type { Call } from "../words/parse-command-line.ts";
import { choiceOf, dayOf, listOf, usageGroups } from "../words/values.ts";
import type { World } from "../world.ts";
import { isJson, writeJson } from "./command.ts";

const groupFields = {
  key: "key_id",
  model: "model",
  day: "day",
  team: "team_id",
  project: "project_id",
} as const;

const sums = {
  tasks: z.int(),
  failed_tasks: z.int().optional(),
  prompt_tokens: z.int(),
  completion_tokens: z.int(),
  cost_micros: z.int(),
};
const group = z.string().nullable().optional();

const usageSchema = z.looseObject({
  from: z.string(),
  to: z.string(),
  data: z.array(
    z.looseObject({
      key_id: group,
      model: group,
      day: group,
      team_id: group,
      project_id: group,
      ...sums,
    }),
  ),
  total: z.looseObject(sums),
});

/** What was used, in groups. */
export async function usage(world: World, call: Call): Promise<number> {
  const { options } = call;
  if (options["csv"] !== undefined && isJson(call)) {
    throw new UsageError("--csv and --json are two forms: give one of them");
  }
  const groups = listOf(options["by"] ?? "day", "--by").map((word) =>
    choiceOf(word, "--by", usageGroups),
  );
  const { from, to } = options;
  const query = {
    group_by: groups.join(","),
    from: from === undefined ? undefined : dayOf(from, "--from"),
    to: to === undefined ? undefined : dayOf(to, "--to"),
    account_id: options["account"],
  };
  if (query.from !== undefined && query.to !== undefined && query.to < query.from) {
    throw new UsageError(`--to ${query.to} is before --from ${query.from}`);
  }
  const { client } = await connect(world, call);
  if (options["csv"] !== undefined) {
    const text = await client.getText("/api/v1/usage", "text/csv", { ...query, format: "csv" });
    world.terminal.print(text);
    return 0;
  }
  const found = await client.get("/api/v1/usage", usageSchema, query);
  if (isJson(call)) writeJson(world, found);
  else writeUsage(world, groups, found);
  return 0;
}

const sumColumns: readonly Column[] = [
  { title: "TASKS", align: "right" },
  { title: "FAILED", align: "right" },
  { title: "READ", align: "right" },
  { title: "WRITTEN", align: "right" },
  { title: "CREDITS", align: "right" },
];

function writeUsage(
  { terminal }: World,
  groups: readonly (typeof usageGroups)[number][],
  { data, total, from, to }: z.infer<typeof usageSchema>,
): void {
  if (data.length === 0) {
    terminal.write(`Nothing was used from ${from} to ${to}`);
    return;
  }
  const columns = groups.map((name) => ({ title: name.toUpperCase(), canBeCut: name === "model" }));
  const rows = data.map((row) => [
    ...groups.map((name) => row[groupFields[name]] ?? "-"),
    ...sumCells(row),
  ]);
  const last = ["total", ...groups.slice(1).map(() => ""), ...sumCells(total)];
  writeTable([...columns, ...sumColumns], [...rows, last], terminal);
}

function sumCells(row: z.infer<typeof usageSchema>["total"]): string[] {
  return [
    count(row.tasks),
    row.failed_tasks === undefined ? "-" : count(row.failed_tasks),
    count(row.prompt_tokens),
    count(row.completion_tokens),
    credits(row.cost_micros),
  ];
}
