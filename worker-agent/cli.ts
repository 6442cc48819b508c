#!/usr/bin/env node
import { main } from "./cli/main.ts";

// Set, not called: what is still being written to a pipe gets out first.
process.exitCode = await main(process.argv.slice(2));
