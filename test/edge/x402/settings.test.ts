import { expect, test } from "vitest";
import { z } from "zod";
import { x402Fields, x402SettingsOf } from "../../../edge/x402/settings.ts";

const all = {
  OCTO_X402_PAY_TO: "0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
  OCTO_X402_NETWORK: "eip155:84532",
  OCTO_X402_ASSET: "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
  OCTO_X402_ASSET_NAME: "USDC",
  OCTO_X402_ASSET_VERSION: "2",
  OCTO_X402_FACILITATOR: "https://facilitator.test/x402/",
};
const fields = z.object(x402Fields);
const settingsOf = (values: Record<string, string>) => x402SettingsOf(fields.parse(values));

test("all of the settings turn it on, none of them leave it off", () => {
  expect(settingsOf(all)).toEqual({
    network: "eip155:84532",
    chainId: 84_532n,
    payTo: "0x209693bc6afc0c5328ba36faf03c514ef312287c",
    asset: "0x036cbd53842c5426634e7929541ec2318f3dcf7e",
    assetName: "USDC",
    assetVersion: "2",
    facilitatorUrl: "https://facilitator.test/x402",
  });
  expect(settingsOf({})).toBeNull();
  expect(settingsOf(Object.fromEntries(Object.keys(all).map((name) => [name, ""])))).toBeNull();
});

test.each(Object.keys(all))("all but %s stop the start, which names it", (name) => {
  expect(() => settingsOf({ ...all, [name]: "" })).toThrow(`Cannot start: ${name} must be set too`);
});

test.each([
  ["OCTO_X402_PAY_TO", "0x20", "an Ethereum address"],
  ["OCTO_X402_NETWORK", "base", "eip155:8453"],
  ["OCTO_X402_NETWORK", "eip155:0", "eip155:8453"],
  ["OCTO_X402_ASSET", "USDC", "the address of a token's contract"],
  ["OCTO_X402_FACILITATOR", "http://facilitator.test", "an https: URL"],
  ["OCTO_X402_FACILITATOR", "https://facilitator.test/?key=1", "an https: URL"],
])("%s cannot be %j", (name, value, words) => {
  const { error } = fields.safeParse({ ...all, [name]: value });
  expect(error?.issues).toMatchObject([{ path: [name], message: expect.stringContaining(words) }]);
});
