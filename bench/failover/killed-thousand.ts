import { join } from "node:path";
import type { Network } from "../../dev/network.ts";
import { Random } from "../../test/simulation/random.ts";
import { type Figure, quantile } from "../figure.ts";
import { newFolder, newNetwork } from "../new-network.ts";
import { untilListed } from "../until-listed.ts";
import { atOnce } from "../load/at-once.ts";
import { bookedTask, isPaid, payees } from "./books.ts";
import { Fleet } from "./fleet.ts";
import { type ReadAnswer, pauseAfter, readAnswer } from "./read-answer.ts";
import { differenceOf } from "./tally.ts";

const answers = 1_000;
const answersAtOnce = 8;
/**
 * Many, because a worker that dies three times in a row is left alone for some seconds, as it
 * should be.
 */
const workers = 96;
const model = "mortal";
/** Answers repeat after this many: the unbroken ones are asked for first. */
const variants = 16;
const tokensPerS = 150;

interface Variant {
  readonly script: string;
  readonly seed: number;
  readonly tokens: number;
  readonly whole: string;
}

interface Broken {
  readonly variant: Variant;
  readonly answer: ReadAnswer;
  /** When its worker died; null where it lived. */
  readonly diedMs: number | null;
}

/**
 * A thousand streamed answers at temperature 0, each of whose workers dies once: when it has made
 * the answer's token of a random number, which is then lost with everything gathered before it.
 * `failover.whole_answers_of_1000` counts those that lost their worker and are, at their end, what
 * an unbroken one is, to the letter.
 */
export async function measureThousand(
  random: Random,
  progress: (line: string) => void,
): Promise<Figure[]> {
  await using stack = new AsyncDisposableStack();
  const folder = await newFolder(stack);
  const vars = { OCTO_PREFLIGHT: "off" };
  const network = stack.use(
    await newNetwork(join(folder, "network"), { workers: 0, model: "none", vars }),
  );
  progress(`starting ${workers} workers …`);
  const fleet = stack.use(await Fleet.start({ edgeUrl: network.url, model, workers, folder }));
  await untilListed(network, model, workers);
  const all = await unbroken(network, random);
  // Drawn beforehand: in which order the answers end is not the seed's.
  const plan = Array.from({ length: answers }, () => {
    const variant = random.pick(all);
    return { variant, token: random.int(1, variant.tokens) };
  });
  progress(`${answers} answers, ${answersAtOnce} at a time, each of whose workers dies …`);
  const broken = await atOnce(
    plan,
    answersAtOnce,
    async ({ variant, token }, number): Promise<Broken> => {
      const name = `answer ${number}`;
      fleet.deaths.plan(name, token);
      const answer = await readAnswer(requestOf(network, variant, name));
      if ((number + 1) % 250 === 0) progress(`${number + 1} answers …`);
      return { variant, answer, diedMs: fleet.deaths.diedMs(name) };
    },
  );
  progress("reading the books …");
  return [...textFigures(broken), ...(await moneyFigures(network, broken))];
}

/** The answers as they are when nobody dies. */
async function unbroken(network: Network, random: Random): Promise<Variant[]> {
  const found: Variant[] = [];
  for (let seed = 1; seed <= variants; seed++) {
    const tokens = random.int(24, 64);
    const asked = { script: `tokens=${tokens} rate=${tokensPerS}`, seed, tokens, whole: "" };
    const answer = await readAnswer(requestOf(network, asked, "unbroken"));
    if (answer.ending !== "done") throw new Error(`an unbroken answer ended as ${answer.ending}`);
    found.push({ ...asked, whole: answer.text });
  }
  return found;
}

function requestOf(network: Network, { script, seed }: Variant, name: string) {
  const messages = [{ role: "user", content: `[synthetic ${script}] [${name}]` }];
  return {
    url: `${network.url}/v1/chat/completions`,
    headers: {
      authorization: `Bearer ${network.consumer.apiKey}`,
      "content-type": "application/json",
    },
    body: JSON.stringify({ model, messages, stream: true, temperature: 0, seed }),
  };
}

function isWhole({ variant, answer, diedMs }: Broken): boolean {
  const isEnded = answer.ending === "done" && answer.finish === "stop";
  return diedMs !== null && isEnded && answer.text === variant.whole;
}

function textFigures(broken: readonly Broken[]): Figure[] {
  const differences = broken.map(({ answer, variant }) => differenceOf(answer.text, variant.whole));
  const sum = (numbers: readonly number[]) => numbers.reduce((all, one) => all + one, 0);
  const endedAs = (ending: ReadAnswer["ending"]) =>
    broken.filter(({ answer }) => answer.ending === ending).length;
  const pauses = broken.flatMap(({ answer, diedMs }) => {
    const pauseMs = diedMs === null ? null : pauseAfter(answer, diedMs);
    return pauseMs === null ? [] : [pauseMs];
  });
  const lost = { unit: "", better: "lower", target: 0 } as const;
  const ms = { unit: "ms", better: "lower", target: null } as const;
  return [
    {
      figure: "failover.killed_of_1000",
      value: broken.filter(({ diedMs }) => diedMs !== null).length,
      unit: "",
      better: "higher",
      target: answers,
    },
    {
      figure: "failover.whole_answers_of_1000",
      value: broken.filter(isWhole).length,
      unit: "",
      better: "higher",
      target: answers,
    },
    {
      figure: "failover.duplicated_tokens",
      value: sum(differences.map(({ duplicated }) => duplicated)),
      ...lost,
    },
    {
      figure: "failover.missing_tokens",
      value: sum(differences.map(({ missing }) => missing)),
      ...lost,
    },
    { figure: "failover.error_endings", value: endedAs("error"), ...lost },
    { figure: "failover.cut_endings", value: endedAs("cut"), ...lost },
    { figure: "failover.gap_p50_ms", value: quantile(pauses, 0.5), ...ms },
    { figure: "failover.gap_p99_ms", value: quantile(pauses, 0.99), ...ms },
  ];
}

/** `failover.continued` are those whose text two or more workers made, and are paid for. */
async function moneyFigures(network: Network, broken: readonly Broken[]): Promise<Figure[]> {
  const booked = await atOnce(broken, answersAtOnce, async (one) => {
    const task = await bookedTask(network, one.answer.taskId);
    return { isPaid: isPaid(task, one.variant.tokens), payees: payees(task) };
  });
  const count = { unit: "", better: "higher" } as const;
  return [
    {
      figure: "failover.paid_of_1000",
      value: booked.filter((task) => task.isPaid).length,
      ...count,
      target: answers,
    },
    {
      figure: "failover.paid_to_both",
      value: booked.filter((task) => task.isPaid && task.payees > 1).length,
      ...count,
      target: null,
    },
  ];
}
