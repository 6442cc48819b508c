import type { z } from "zod";
import { type Asset, type Bucket, ownerOf } from "../../../shared/assets.ts";
import { sha256Hex } from "../../../shared/crypto/bytes.ts";
import { canonicalJson } from "../../../shared/crypto/jcs.ts";
import type { JournalPlace } from "../../../shared/journal.ts";
import type { ledgerBalanceSchema } from "../../../shared/ledger-record.ts";
import type { Micros } from "../../../shared/money.ts";
import type { AccountSummary } from "../../billing/account-answers.ts";
import type { Told } from "../../billing/outbox/told-to.ts";
import type { Context } from "../../context.ts";
import { databaseOf } from "../../database.ts";
import {
  giversTo,
  journalHashAt,
  journalHead,
  ownBalances,
} from "../../db/ledger/account-ledger.ts";
import { lastRow } from "../../db/ledger/ledger.ts";
import { accountObject } from "../../objects.ts";
import { accountBalances } from "./account-balances.ts";

/** Each is asked how far it has told: a Worker may call ten thousand times in one request. */
const giversMax = 5_000;
const askedAtOnce = 32;

type Balance = z.infer<typeof ledgerBalanceSchema>;

/** What an account's object says that it has beside what it has by the ledger. */
export interface Difference {
  readonly accountId: string;
  readonly books: readonly {
    readonly book: string;
    readonly asset: Asset;
    readonly bucket: Bucket;
    readonly account: Micros;
    readonly ledger: Micros;
  }[];
  readonly account: JournalPlace;
  readonly ledger: JournalPlace;
  readonly told: readonly { readonly source: string; readonly seq: number }[];
  /** Why the object cannot take over what the ledger has, a sentence each. */
  readonly obstacles: readonly string[];
  /** Names all of it: of another difference it is another. */
  readonly id: string;
}

export function isDifferent({ books, account, ledger }: Difference): boolean {
  return account.seq !== ledger.seq || books.some((of) => of.account !== of.ledger);
}

/**
 * Compares an account's object with the ledger exactly, whatever moves meanwhile: of what others
 * gave, the ledger's side counts what they had told before it was read, and what they told later is
 * an obstacle (R2 and R3 of restore-state.ts).
 */
export async function differenceOf(
  ctx: Pick<Context, "env">,
  accountId: string,
  summary: AccountSummary,
): Promise<Difference> {
  await using db = databaseOf(ctx.env);
  const givers = await giversTo(db, accountId, giversMax + 1);
  const told = await askHowFar(ctx, accountId, givers);
  const through = await lastRow(db);
  const ledger = await journalHead(db, accountId);
  const placesBySource = Object.fromEntries(told.map(({ source, place }) => [source, place]));
  const balances = await ownBalances(db, { accountId, through, placesBySource });
  const { journal: account } = summary;
  const { seq } = account;
  const hash = seq === 0 ? "" : await journalHashAt(db, { source: accountId, seq });
  const obstacles = [
    ...(givers.length > giversMax ? [`More than ${giversMax} accounts gave to it`] : []),
    ...(hash === account.hash ? [] : ["Its journal is not the beginning of what the ledger has"]),
    ...whyNotNow(summary),
    ...told.flatMap((of) => whyNotTold(of)),
  ];
  const books = merged(accountBalances(summary).balances, balances);
  const compared = books.map(({ book, asset, account: has, ledger: by }) => {
    return [book, asset, `${has}`, `${by}`];
  });
  const text = canonicalJson([accountId, compared, { ...account }, { ...ledger }]);
  const id = (await sha256Hex(text)).slice(0, 32);
  return { accountId, books, account, ledger, told, obstacles, id };
}

type Asked = Told & { readonly source: string; readonly inLedger: number };

/** Some at a time: each may be an object on another machine. */
async function askHowFar(
  ctx: Pick<Context, "env">,
  accountId: string,
  givers: readonly { readonly source: string; readonly head: bigint }[],
): Promise<readonly Asked[]> {
  const asked: Asked[] = [];
  for (let at = 0; at < Math.min(givers.length, giversMax); at += askedAtOnce) {
    const answers = givers.slice(at, at + askedAtOnce).map(async ({ source, head }) => {
      const told = await accountObject(ctx.env, source).toldTo(accountId);
      return { ...told, source, inLedger: Number(head) };
    });
    asked.push(...(await Promise.all(answers)));
  }
  return asked;
}

function whyNotTold({ source, head, isOwing, inLedger }: Asked): string[] {
  if (head < inLedger) return [`${source}, which gave to it, has lost its own books: restore it`];
  return isOwing ? [`${source} owes it what it could not be told yet`] : [];
}

function whyNotNow({ outboxEmpty, owed, held }: AccountSummary): string[] {
  return [
    ...(outboxEmpty ? [] : ["Its outbox is not empty: the ledger has yet to hear of it"]),
    ...(owed.length === 0 ? [] : ["It owes other accounts what they could not be told yet"]),
    ...(held === 0n ? [] : [`It holds ${held} micros for tasks that run: suspend it and wait`]),
  ];
}

/** Every book that either side has something in. */
function merged(
  account: readonly Balance[],
  ledger: readonly { readonly book: string; readonly asset: string; readonly micros: Micros }[],
): Difference["books"] {
  const keys = new Map<string, { book: string; asset: string; account: Micros; ledger: Micros }>();
  const of = (book: string, asset: string) => {
    const known = keys.get(`${book} ${asset}`) ?? { book, asset, account: 0n, ledger: 0n };
    keys.set(`${book} ${asset}`, known);
    return known;
  };
  for (const { book, asset, balance } of account) of(book, asset).account = BigInt(balance);
  for (const { book, asset, micros } of ledger) of(book, asset).ledger = micros;
  return [...keys.values()].flatMap(({ asset, ...rest }) => {
    const bucket = ownerOf(rest.book)?.bucket;
    return bucket === undefined ? [] : [{ ...rest, asset: asset as Asset, bucket }];
  });
}
