import { parseArgs } from "node:util";
import { type Figure, formatValue, type Suite } from "./figure.ts";

interface Listed {
  readonly about: string;
  readonly load: () => Promise<Suite>;
}

/** Suites are loaded when they are asked for: one may need what another does not have. */
const suites: Readonly<Record<string, Listed>> = {
  failover: {
    about: "answers whose worker is killed in the middle, and what their clients see",
    load: async () => (await import("./suites/failover.ts")).failover,
  },
  join: {
    about: "how long a stranger waits from npx octo-worker to a listing",
    load: async () => (await import("./suites/join.ts")).join,
  },
  ledger: {
    about: "holds and settlements, their way to libSQL, and what money costs a request",
    load: async () => (await import("./suites/ledger.ts")).ledger,
  },
  relay: {
    about: "what relaying costs, beside bare workerd and another gateway",
    load: async () => (await import("./suites/relay.ts")).relay,
  },
  scale: {
    about: "choosing among 100,000 workers, thousands of sockets lost at once",
    load: async () => (await import("./suites/scale.ts")).scale,
  },
  worker: {
    about: "what a worker and the network add to bare llama.cpp",
    load: async () => (await import("./suites/worker.ts")).worker,
  },
};

const usage = `Measures the network on this machine.

  npm run bench -- SUITE           a table
  npm run bench -- SUITE --json    one JSON object a line

Suites:
${Object.entries(suites)
  .map(([name, { about }]) => `  ${name.padEnd(10)} ${about}`)
  .join("\n")}`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { json: { type: "boolean", default: false }, help: { type: "boolean", short: "h" } },
  });
  const name = positionals[0];
  if (values.help === true || name === undefined) {
    process.stdout.write(`${usage}\n`);
    return name === undefined && values.help !== true ? 2 : 0;
  }
  const listed = suites[name];
  if (listed === undefined) {
    process.stderr.write(
      `There is no suite ${name}; there are ${Object.keys(suites).join(", ")}\n`,
    );
    return 2;
  }
  const suite = await listed.load();
  const figures = await suite((line) => process.stderr.write(`${line}\n`));
  if (values.json)
    for (const figure of figures) process.stdout.write(`${JSON.stringify(figure)}\n`);
  else process.stdout.write(table(figures));
  return 0;
}

function table(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => [
    figure.figure,
    formatValue(figure.value),
    figure.unit,
    figure.target === null ? "" : `${figure.better === "higher" ? "≥" : "≤"} ${figure.target}`,
    verdict(figure),
  ]);
  const all = [["figure", "value", "unit", "target", ""], ...rows];
  const widths = [0, 1, 2, 3].map((column) =>
    Math.max(...all.map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  return `${all.map(line).join("\n")}\n`;
}

function verdict({ value, target, better }: Figure): string {
  if (target === null) return "";
  return (better === "higher" ? value >= target : value <= target) ? "met" : "missed";
}

process.exitCode = await main();
