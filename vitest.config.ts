import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";
import { applyMigrations } from "./edge/db/migrate.ts";
import { createEndpoint } from "./dev/libsql/endpoint.ts";
import { openLocalDatabase } from "./dev/libsql/open-local.ts";
import { readMigrations } from "./dev/libsql/read-migrations.ts";
import { rateLimits } from "./dev/rate-limits.ts";
import { newDepositSecret, newSecrets } from "./dev/secrets.ts";
import { FakeFacilitator, x402Bindings } from "./test/helpers/fake-facilitator.ts";

/** What all tests of a file together never do, and what those of the limits soon have done. */
const manyCalls = {
  CALLS_BY_CALLER: 1_000_000,
  CALLS_BY_OPERATOR: 1_000_000,
  TRIES_BY_ADDRESS: 1_000_000,
};
const fewCalls = { CALLS_BY_CALLER: 8, CALLS_BY_OPERATOR: 60, TRIES_BY_ADDRESS: 5 };

/** The tests inside workerd share one database file: each of them makes accounts of its own. */
async function workerdOptions(
  preflight: "on" | "off",
  isPaidByRequest = false,
  callsPerMinute = manyCalls,
) {
  const path = join(mkdtempSync(join(tmpdir(), "octo-workerd-")), "octo.db");
  await using db = openLocalDatabase({ url: `file:${path}` });
  await applyMigrations(db, await readMigrations(), Date.now());
  const endpoint = createEndpoint({ path });
  const secrets = await newSecrets("test");
  const facilitator = isPaidByRequest ? new FakeFacilitator() : null;
  const depositSecrets = [newDepositSecret(), newDepositSecret()];
  return {
    wrangler: { configPath: "./wrangler.toml" },
    miniflare: {
      cf: false,
      bindings: {
        OCTO_NETWORK: "local",
        OCTO_KEY_ENV: "test",
        OCTO_REGION: "weur",
        OCTO_OPERATOR_KEY: secrets.operatorKey,
        OCTO_EDGE_KEY: secrets.edgeKey,
        OCTO_TICKET_SECRET: secrets.ticketSecret,
        OCTO_KEY_PEPPER: secrets.keyPepper,
        // Short enough for a test to see a deadline pass, long enough for a busy machine.
        OCTO_FIRST_TOKEN_MS: "1500",
        OCTO_QUEUE_MS: "1500",
        OCTO_STALL_MS: "2000",
        OCTO_PREFLIGHT: preflight,
        // All tests give their credit with one operator's key, on one day.
        OCTO_FOUR_EYES_MICROS: "1000000000000",
        OCTO_DEPOSIT_SECRETS: depositSecrets.join(","),
        OCTO_SIGN_UP: "open",
        ...(facilitator === null ? {} : x402Bindings),
      },
      ratelimits: rateLimits((name) => callsPerMinute[name]),
      serviceBindings: {
        LIBSQL: (request: Request) => endpoint.fetch(request),
        ...(facilitator === null
          ? {}
          : { FACILITATOR: (request: Request) => facilitator.fetch(request) }),
      },
    },
  };
}

export default defineConfig({
  test: {
    // Two cores: more files at once only make each other late.
    maxWorkers: 2,
    projects: [
      {
        test: {
          name: "node",
          include: ["test/**/*.test.ts"],
          exclude: ["test/workerd/**", "test/flow/**"],
          // Simulations take half a minute where the machine is busy with others.
          testTimeout: 120_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: "flow",
          include: ["test/flow/**/*.test.ts"],
          // Each file starts a whole network of processes.
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        plugins: [cloudflareTest(() => workerdOptions("off"))],
        test: {
          name: "workerd",
          include: ["test/workerd/**/*.test.ts"],
          exclude: [
            "test/workerd/hub/preflight*.test.ts",
            "test/workerd/x402/**/*.test.ts",
            "test/workerd/rates*.test.ts",
          ],
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        // Fake workers answer what a test asks them; these answer a hub's probes as well.
        plugins: [cloudflareTest(() => workerdOptions("on"))],
        test: {
          name: "preflight",
          include: ["test/workerd/hub/preflight*.test.ts"],
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        // Nobody calls often here, and who does is refused.
        plugins: [cloudflareTest(() => workerdOptions("off", true, fewCalls))],
        test: {
          name: "rates",
          include: ["test/workerd/rates*.test.ts"],
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        // Whoever sends no key is told a price here, and refused everywhere else.
        plugins: [cloudflareTest(() => workerdOptions("off", true))],
        test: {
          name: "x402",
          include: ["test/workerd/x402/**/*.test.ts"],
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
