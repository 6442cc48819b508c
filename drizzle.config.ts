import { defineConfig } from "drizzle-kit";

export default defineConfig({
  dialect: "turso",
  schema: ["./edge/db/schema.ts", "./edge/db/schema-ledger.ts"],
  out: "./migrations",
});
