import { describe } from "vitest";
import { describeAccounts } from "./accounts-suite.ts";
import { describeManagedKeys } from "./keys-suite.ts";
import { describeChecks } from "./checks-suite.ts";
import { describeAlerts } from "./alerts-suite.ts";
import { describeLedger } from "./ledger-suite.ts";
import { describeInvitations } from "./invitations-suite.ts";
import { describeListings } from "./listings-suite.ts";
import { describeTariffs } from "./tariffs-suite.ts";
import { describePeople } from "./people-suite.ts";
import { describeStatements } from "./statements-suite.ts";
import { describeSupply } from "./supply-suite.ts";
import { describeTasks } from "./tasks-suite.ts";
import { describeUsage } from "./usage-suite.ts";
import { describeWorkers } from "./workers-suite.ts";
import type { MakeDatabase } from "./worlds.ts";

/** Everything the queries promise, on any driver. */
export function describeQueries(name: string, makeDatabase: MakeDatabase): void {
  describe(name, () => {
    describe("accounts and keys", () => describeAccounts(makeDatabase));
    describe("managed keys", () => describeManagedKeys(makeDatabase));
    describe("people and members", () => describePeople(makeDatabase));
    describe("invitations", () => describeInvitations(makeDatabase));
    describe("workers", () => describeWorkers(makeDatabase));
    describe("listings", () => describeListings(makeDatabase));
    describe("ledger", () => describeLedger(makeDatabase));
    describe("tariffs", () => describeTariffs(makeDatabase));
    describe("checks", () => describeChecks(makeDatabase));
    describe("supply", () => describeSupply(makeDatabase));
    describe("alerts", () => describeAlerts(makeDatabase));
    describe("tasks", () => describeTasks(makeDatabase));
    describe("statements", () => describeStatements(makeDatabase));
    describe("usage", () => describeUsage(makeDatabase));
  });
}
