import { expect, test } from "vitest";
import { edgeSettings } from "../../dev/edge-settings.ts";
import { readRepositoryFile } from "../helpers/source-files.ts";

test("settings of the edge are taken from the environment, its secrets and what is else there not", () => {
  const env = {
    OCTO_DISPUTE_MS: "5000",
    OCTO_X402_PAY_TO: "0x00",
    OCTO_SIGN_UP: "",
    OCTO_OPERATOR_KEY: "somebody's",
    OCTO_KEY_PEPPER: "somebody's",
    OCTO_STATE_DIR: "/srv/octo",
    HOME: "/root",
  };
  expect(edgeSettings(env)).toEqual({ OCTO_DISPUTE_MS: "5000", OCTO_X402_PAY_TO: "0x00" });
});

test("every variable that the edge declares can be set on one machine, or is the network's own", () => {
  const declared = [
    ...readRepositoryFile("edge/env.ts").matchAll(/readonly (OCTO_\w+)\??: string/g),
  ];
  const names = declared.map(([, name]) => String(name));
  const own = [
    "OCTO_NETWORK",
    "OCTO_KEY_ENV",
    "OCTO_OPERATOR_KEY",
    "OCTO_EDGE_KEY",
    "OCTO_TICKET_SECRET",
    "OCTO_KEY_PEPPER",
    // Nobody counts calls on one machine: there is no counter.
    "OCTO_RATES",
  ];
  const settable = Object.keys(edgeSettings(Object.fromEntries(names.map((name) => [name, "1"]))));
  expect([...settable, ...own].toSorted()).toEqual(names.toSorted());
});
