import { readFileSync } from "node:fs";
import { posix } from "node:path";
import { describe, expect, test } from "vitest";
import { compatibility } from "../dev/edge.ts";
import { ratePeriodS, ratesPerMinute } from "../edge/rates/per-minute.ts";
import { errorRules } from "../shared/errors.ts";
import {
  readRepositoryFile,
  repositoryRoot,
  type SourceFile,
  type SourceImport,
  sourceFiles,
} from "./helpers/source-files.ts";

/*
 * The rules of the house that a machine can hold. Sizes, names of files, console calls, cycles and
 * default exports are the linter's (.oxlintrc.json); layout is the formatter's.
 */

const files = sourceFiles();
const filesByPath = new Map(files.map((file) => [file.path, file]));

/** Each rule names what breaks it: an empty list is a tidy house. */
function broken(check: (file: SourceFile) => readonly string[]): string[] {
  return files.flatMap((file) => check(file).map((what) => `${file.path}: ${what}`));
}

function brokenImports(check: (file: SourceFile, of: SourceImport) => boolean): string[] {
  return broken((file) =>
    file.imports.filter((of) => check(file, of)).map(({ specifier }) => specifier),
  );
}

function partyOf(path: string): string {
  return path.includes("/") ? (path.split("/")[0] ?? "") : "root";
}

function isIn(path: string, ...places: readonly string[]): boolean {
  return places.some((place) => path === place || path.startsWith(`${place}/`));
}

const objectClasses = ["edge/billing/account.ts", "edge/directory/directory.ts", "edge/hub/hub.ts"];

describe("imports", () => {
  /**
   * Parties never import each other, and what is shared imports neither; the rest may import all,
   * as may what makes a package and is no part of it.
   */
  const reachable: Record<string, readonly string[]> = {
    shared: ["shared"],
    edge: ["shared", "edge"],
    "worker-agent": ["shared", "worker-agent"],
    cli: ["shared", "cli"],
  };

  const builds = ["worker-agent/build.ts", "cli/build.ts"];

  test("parties meet only in what they share", () => {
    const strays = brokenImports((file, { path }) => {
      const allowed = builds.includes(file.path) ? undefined : reachable[partyOf(file.path)];
      return path !== null && allowed !== undefined && !allowed.includes(partyOf(path));
    });
    expect(strays).toEqual([]);
  });

  /** A stage of the edge and the stages it may not know: they come after it. */
  const later: Record<string, readonly string[]> = {
    "edge/db": ["edge/billing", "edge/directory", "edge/hub", "edge/inference", "edge/routes"],
    "edge/billing": ["edge/directory", "edge/hub", "edge/inference", "edge/routes"],
    "edge/directory": ["edge/billing", "edge/inference", "edge/routes"],
    "edge/hub": ["edge/routes"],
    "edge/inference": ["edge/routes"],
    "edge/x402": ["edge/billing", "edge/db", "edge/directory", "edge/hub", "edge/inference"].concat(
      "edge/routes",
    ),
  };

  test("no stage of the edge imports a later one", () => {
    const strays = brokenImports((file, { path }) => {
      const stage = file.path.split("/").slice(0, 2).join("/");
      const forbidden = [...(later[stage] ?? []), ...(stage in later ? ["edge/app.ts"] : [])];
      return path !== null && isIn(path, ...forbidden);
    });
    expect(strays).toEqual([]);
  });

  test("the classes of Durable Objects are imported by the entry, elsewhere as types", () => {
    const strays = brokenImports(
      (file, { path, typeOnly }) =>
        path !== null &&
        objectClasses.includes(path) &&
        !typeOnly &&
        file.path !== "edge/worker.ts",
    );
    expect(strays.filter((stray) => !stray.startsWith("test/"))).toEqual([]);
  });

  const embeddedLlama = [
    "",
    "-backend",
    "-draft",
    "-grammar",
    "-pooled",
    "-prompt",
    "-sequence",
  ].map((part) => `worker-agent/engine/embedded/embedded-llama${part}.ts`);

  /** Where each package or platform may be imported; everything else may be imported anywhere. */
  const homes: readonly (readonly [RegExp, readonly string[]])[] = [
    [/^cloudflare:/, ["edge/worker.ts", ...objectClasses, "test"]],
    [/^node:/, ["worker-agent", "cli", "dev", "bench", "test", "vitest.config.ts"]],
    [/^drizzle-orm/, ["edge/db", "test/edge/db"]],
    [/^jose/, ["edge/sign-in", "test/workerd"]],
    [/^@libsql\/client/, ["edge/db", "dev", "test"]],
    [
      /^node-llama-cpp/,
      [...embeddedLlama, "bench", "test/worker-agent/models", "test/worker-agent/engine"],
    ],
    [
      /^hono/,
      ["edge/app.ts", "edge/app-env.ts", "edge/authenticate.ts", "edge/http-errors.ts"].concat(
        "edge/cors.ts",
        "edge/routes",
        "edge/openapi",
      ),
    ],
    [/^(miniflare|esbuild)/, ["dev", "bench", "test"]],
  ];

  test("what belongs to one place is imported only there", () => {
    const strays = brokenImports((file, { specifier }) =>
      homes.some(([name, places]) => name.test(specifier) && !isIn(file.path, ...places)),
    );
    expect(strays).toEqual([]);
  });

  test("relative imports name their file, and everything else is an installed package", () => {
    const { dependencies, devDependencies } = JSON.parse(readRepositoryFile("package.json")) as {
      dependencies: Record<string, string>;
      devDependencies: Record<string, string>;
    };
    const agent = JSON.parse(readRepositoryFile("worker-agent/package.json")) as {
      dependencies: Record<string, string>;
      devDependencies: Record<string, string>;
    };
    const installed = Object.keys({
      ...dependencies,
      ...devDependencies,
      ...agent.dependencies,
      ...agent.devDependencies,
    });
    const strays = brokenImports((_file, { specifier, path }) => {
      if (path !== null) return !/\.(ts|json|sql)$/.test(specifier);
      if (/^(node|cloudflare):/.test(specifier)) return false;
      return !installed.some((name) => specifier === name || specifier.startsWith(`${name}/`));
    });
    expect(strays).toEqual([]);
  });

  test("no file is a barrel", () => {
    const barrels = broken(({ code }) => {
      const statements = code.split(";").filter((part) => part.trim() !== "");
      const passedOn = statements.filter((part) => /^\s*export\s+(type\s+)?[*{]/.test(part));
      const imported = statements.filter((part) => /^\s*import\b/.test(part));
      const isBarrel =
        passedOn.length > 0 && passedOn.length + imported.length === statements.length;
      return isBarrel ? ["it only passes on what others export"] : [];
    });
    expect(barrels).toEqual([]);
  });

  test("every file is imported, or is where something starts", () => {
    const imported = new Set(files.flatMap((file) => file.imports.map(({ path }) => path)));
    const scripts = [
      "package.json",
      "worker-agent/package.json",
      "cli/package.json",
      "wrangler.toml",
    ]
      .map((path) => readRepositoryFile(path))
      .join("\n");
    const lost = files
      .map(({ path }) => path)
      .filter((path) => {
        if (imported.has(path) || /(\.test|\.config)\.ts$/.test(path)) return false;
        const started = [path, ...["worker-agent", "cli"].map((of) => posix.relative(of, path))];
        const isStarted = (name: string) => new RegExp(`(?:node |")${name}\\b`).test(scripts);
        return !started.some(isStarted);
      });
    // The agent's entry is what its build bundles, and the benchmark bundles Workers of its own.
    const bundled = (path: string) =>
      path === "worker-agent/cli.ts" || path.startsWith("bench/workerd/");
    expect(lost.filter((path) => !bundled(path))).toEqual([]);
  });
});

describe("files and names", () => {
  test("the class of a Durable Object is glue: no file of one has over 200 lines", () => {
    const sizes = objectClasses.map((path) => filesByPath.get(path)?.text.split("\n").length ?? 0);
    for (const size of sizes) expect(size).toBeLessThanOrEqual(201);
  });

  /** The sentence that names a test is not cut. */
  function isLong(line: string): boolean {
    return [...line].length > 100 && !/^\s*(test|describe)(\.\w+)?\(/.test(line);
  }

  test("no line is over 100 columns", () => {
    const long = broken(({ text }) =>
      text.split("\n").flatMap((line, at) => (isLong(line) ? [`line ${at + 1}`] : [])),
    );
    expect(long).toEqual([]);
  });

  test("folders are at most two deep below their party", () => {
    const deep = files.filter(({ path }) => {
      const party = path.startsWith("test/") ? 2 : 1;
      return path.split("/").length - party > 3;
    });
    expect(deep.map(({ path }) => path)).toEqual([]);
  });

  test("folders and files are in kebab-case", () => {
    const other = files.filter(({ path }) => !/^([a-z0-9.]+(-[a-z0-9.]+)*\/?)+$/.test(path));
    expect(other.map(({ path }) => path)).toEqual([]);
  });

  /** Words that mean what the glossary of DESIGN has another word for, or nothing at all. */
  const bannedWords = new Set(
    (
      "miner miners job jobs charge charges charged payment payments nodes util utils helper " +
      "helpers service services manager managers misc"
    ).split(" "),
  );
  /** Others' words, which we have to use. */
  const theirWords = new Set([
    "serviceBindings",
    "service_tier",
    "service",
    "serviceName",
    "paymentPayload",
    "paymentRequirements",
  ]);

  function wordsOf(name: string): string[] {
    return name
      .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
      .toLowerCase()
      .split(/[^a-z0-9]+/);
  }

  test("names use the words of the glossary", () => {
    const strays = broken(({ path, code }) => {
      const names = new Set(code.match(/[A-Za-z_$][\w$]*/g));
      const used = [...names].filter(
        (name) => !theirWords.has(name) && wordsOf(name).some((word) => bannedWords.has(word)),
      );
      // A worker is no node; Node is a runtime.
      const participants = [...names].filter((name) => /^node(Id|Key|Url|Registry)/i.test(name));
      const places = path.startsWith("test/helpers/") ? path.slice("test/helpers/".length) : path;
      return [
        ...used,
        ...participants,
        ...wordsOf(places).filter((word) => bannedWords.has(word) || word === "node"),
      ];
    });
    expect(strays).toEqual([]);
  });
});

describe("reducers", () => {
  const pure = [
    "edge/billing/leases/account-leases.ts",
    "edge/billing/account-state.ts",
    "edge/billing/money/buckets.ts",
    "edge/billing/money/earnings-window.ts",
    "edge/billing/outbox/enter-journal.ts",
    "edge/billing/money/move-money.ts",
    "edge/billing/money/pending-money.ts",
    "edge/billing/limits/budgets.ts",
    "edge/billing/limits/limit-chain.ts",
    "edge/billing/limits/limits-state.ts",
    "edge/billing/limits/token-bucket.ts",
    "edge/billing/limits/why-refused.ts",
    "edge/directory/digest.ts",
    "edge/directory/directory-state.ts",
    "edge/hub/routing/choose-worker.ts",
    "edge/hub/hub-state.ts",
    "edge/hub/attempts/place-task.ts",
    "edge/hub/step-hub.ts",
    "edge/hub/attempts/take-output.ts",
    "edge/inference/placing/choose-hub.ts",
    "shared/journal.ts",
    "shared/money.ts",
    "shared/tariff.ts",
    "worker-agent/connection/greeting.ts",
    "worker-agent/connection/session-state.ts",
    "worker-agent/connection/session.ts",
    "worker-agent/serving/availability.ts",
    "worker-agent/serving/hours.ts",
    "worker-agent/serving/load-gate.ts",
    "worker-agent/serving/pool-state.ts",
    "worker-agent/serving/supervision-state.ts",
    "worker-agent/tasks/attempt-output.ts",
    "worker-agent/tasks/attempt-state.ts",
    "worker-agent/tasks/attempt.ts",
    "worker-agent/tasks/output-parts.ts",
  ];

  test("time and chance are their parameters, and they do nothing by themselves", () => {
    const time = String.raw`Date\.now|new Date|performance\.now|setTimeout|setInterval`;
    const rest = String.raw`Math\.random|getRandomValues|fetch\(|async |await `;
    const impure = new RegExp(String.raw`\b(${time}|${rest})`);
    for (const path of pure) {
      const file = filesByPath.get(path);
      expect(file, `${path} is there`).toBeDefined();
      expect([path, impure.exec(file?.code ?? "")?.[0]]).toEqual([path, undefined]);
    }
  });
});

describe("the platform", () => {
  test("there is one workerd in the tree", () => {
    const { packages } = JSON.parse(readRepositoryFile("package-lock.json")) as {
      packages: Record<string, { version?: string }>;
    };
    const found = Object.entries(packages).filter(([path]) =>
      path.endsWith("node_modules/workerd"),
    );
    expect(found.map(([path]) => path)).toEqual(["node_modules/workerd"]);
  });

  test("the local edge runs under the compatibility settings that are deployed", () => {
    const toml = readRepositoryFile("wrangler.toml");
    const flags = /^compatibility_flags = (\[.*\])$/m.exec(toml)?.[1] ?? "[]";
    expect({
      compatibilityDate: /^compatibility_date = "(.*)"$/m.exec(toml)?.[1],
      compatibilityFlags: JSON.parse(flags) as unknown,
    }).toEqual(compatibility);
  });

  test("what is deployed counts calls by the limits that the code explains", () => {
    const toml = readRepositoryFile("wrangler.toml");
    const found = toml
      .split("[[ratelimits]]")
      .slice(1)
      .map((text) => {
        const [, name] = /^name = "(.*)"$/m.exec(text) ?? [];
        const [, limit, period] =
          /^simple = \{ limit = (\d+), period = (\d+) \}$/m.exec(text) ?? [];
        return [name, Number(limit), Number(period)];
      });
    const said = Object.entries(ratesPerMinute).map(([name, limit]) => [name, limit, ratePeriodS]);
    expect(found).toEqual(said);
  });

  test("every Durable Object class is bound, migrated and exported", () => {
    const toml = readRepositoryFile("wrangler.toml");
    const bound = [...toml.matchAll(/^class_name = "(.*)"$/gm)].map((match) => match[1]);
    const made = /^new_sqlite_classes = (\[.*\])$/m.exec(toml)?.[1] ?? "[]";
    expect((JSON.parse(made) as string[]).toSorted()).toEqual(bound.toSorted());
    const entry = readFileSync(posix.join(repositoryRoot, "edge/worker.ts"), "utf8");
    for (const name of bound) expect(entry).toContain(`export { ${name} }`);
  });
});

describe("error codes", () => {
  test("every code is produced by the edge", () => {
    const edge = files.filter(({ path }) => isIn(path, "edge")).map(({ text }) => text);
    const text = edge.join("\n");
    const unused = Object.keys(errorRules).filter((code) => !text.includes(`"${code}"`));
    expect(unused).toEqual([]);
  });
});
