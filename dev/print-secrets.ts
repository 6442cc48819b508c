import { newSecrets } from "./secrets.ts";

/**
 * New secrets for an edge, as the JSON that `wrangler secret bulk` reads. The operator's key is in
 * it: whoever has the output runs the network, so it goes to a file that is deleted afterwards, or
 * straight through a pipe.
 */
const secrets = await newSecrets("live");
const byName = {
  OCTO_OPERATOR_KEY: secrets.operatorKey,
  OCTO_EDGE_KEY: secrets.edgeKey,
  OCTO_TICKET_SECRET: secrets.ticketSecret,
  OCTO_KEY_PEPPER: secrets.keyPepper,
};
process.stdout.write(`${JSON.stringify(byName, null, 2)}\n`);
