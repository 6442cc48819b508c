import { defineConfig } from "drizzle-kit";

export default defineConfig({
  dialect: "turso",
  schema: [
    "./edge/db/schema/registry.ts",
    "./edge/db/schema/ledger.ts",
    "./edge/db/schema/people.ts",
    "./edge/db/schema/money.ts",
    "./edge/db/schema/checks.ts",
  ],
  out: "./migrations",
});
