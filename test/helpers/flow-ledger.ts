import { openLocalDatabase } from "../../dev/libsql/open-local.ts";
import type { Transfer } from "../../edge/db/ledger/ledger.ts";
import { z } from "zod";
import { taskSchema } from "../../edge/routes/inference/task-schema.ts";
import { canonicalJson, type JsonValue } from "../../shared/crypto/jcs.ts";
import { sha256Hex } from "../../shared/crypto/bytes.ts";
import {
  canonicalReceipt,
  OutputTranscript,
  type Receipt,
  receiptSchema,
  verifyCountersignature,
  verifyReceipt,
} from "../../shared/protocol/receipt.ts";
import type { Flow, FlowTask } from "./flow-world.ts";
import { transfersOf } from "./ledger-rows.ts";

const pageSchema = z.object({ data: z.array(taskSchema), next_cursor: z.string().nullable() });

/** Every task of the consumer that has ended, with all that is known of each. */
export async function allTasks(flow: Flow): Promise<FlowTask[]> {
  const ids: string[] = [];
  for (let cursor: string | null = ""; cursor !== null;) {
    const query = cursor === "" ? "" : `&cursor=${cursor}`;
    const response = await flow.fetch(`/api/v1/tasks?limit=5${query}`);
    const page = pageSchema.parse(await response.json());
    ids.push(...page.data.map(({ id }) => id));
    cursor = page.next_cursor;
  }
  return Promise.all(ids.map((id) => flow.untilTask(id)));
}

/** The transfers out of and into one ledger account, as the database file has them. */
export async function allTransfers(flow: Flow, account: string): Promise<readonly Transfer[]> {
  await using db = openLocalDatabase({ url: flow.network.edge.databaseUrl });
  return transfersOf(db, account);
}

/** A receipt whose two signatures hold, checked with nothing but what the API shows of it. */
export async function verifiedReceipt(shown: FlowTask["receipts"][number]): Promise<Receipt> {
  const receipt = receiptSchema.parse(JSON.parse(shown.body));
  const signed = { receipt, signature: shown.worker_signature };
  const edge = { publicKey: shown.edge_key, signature: shown.edge_signature };
  const isSound =
    canonicalReceipt(receipt) === shown.body &&
    (await verifyReceipt(signed)) &&
    (await verifyCountersignature(signed, edge));
  if (!isSound) throw new Error(`the receipt of ${receipt.attempt} does not verify`);
  return receipt;
}

/** One choice of an answer, as far as a receipt covers it. */
export interface SeenChoice {
  readonly text: string;
  readonly toolCalls?: readonly {
    readonly id: string;
    readonly function: { readonly name: string; readonly arguments: string };
  }[];
}

/** `output_hash` of an answer as its consumer saw it. */
export function seenHash(choices: readonly SeenChoice[]): Promise<string> {
  const transcript = new OutputTranscript();
  for (const [index, { text, toolCalls = [] }] of choices.entries()) {
    const calls = toolCalls.map((call, at) => ({ index: at, id: call.id, ...call.function }));
    transcript.add({ index, tokens: 0, text, tool_calls: calls });
  }
  return transcript.hash();
}

/** What is between the consumer and the edge: engines never see it, receipts do not cover it. */
const keptFromEngines = ["stream", "stream_options", "user", "metadata"];

/** `prompt_hash` of a request, from what its consumer sent and nothing else. */
export function sentHash(body: Readonly<Record<string, unknown>>): Promise<string> {
  const kept = Object.entries(body).filter(([field]) => !keptFromEngines.includes(field));
  return sha256Hex(canonicalJson(Object.fromEntries(kept) as JsonValue));
}
