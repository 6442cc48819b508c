import { and, eq, getTableColumns, gt, isNull, ne, type SQL, sql } from "drizzle-orm";
import type { Database, Orm, Statement } from "../database.ts";
import { hasOwner, isOwner } from "./members.ts";
import { beforeInTime, newestFirst } from "../order.ts";
import type { Page, PageRequest } from "../page.ts";
import { decodeCursor, timeCursorSchema, toPage } from "../page.ts";
import { selectRows } from "../rows.ts";
import { invitations, members } from "../schema/people.ts";

export type StoredInvitation = typeof invitations.$inferSelect;
/** An invitation as its account may see it: never the hash of its secret. */
export type Invitation = Omit<StoredInvitation, "secretHash">;
export type NewInvitation = Omit<StoredInvitation, "acceptedBy" | "acceptedAt" | "revokedAt">;

/** As many as a large team is invited at once; more are waiting for an answer they will not get. */
export const openInvitationsMax = 100;

const { secretHash: _, ...summaryColumns } = getTableColumns(invitations);

/** Who invites: the account's owner, somebody else of it, or an operator. */
export interface Inviter {
  readonly personId: string | null;
  /** Whether an operator invites, who may name the first owner of an account and nobody else. */
  readonly isOperator: boolean;
}

/**
 * Stores an invitation. False where too many are open, or where its role is not the inviter's to
 * give: only owners invite owners, and operators the first one. An operator's takes the place of
 * those before it, so that one alone makes the first owner.
 */
export async function createInvitation(
  db: Database,
  invitation: NewInvitation,
  inviter: Inviter,
): Promise<boolean> {
  const { accountId, role, createdAt } = invitation;
  const row = { ...invitation, acceptedBy: null, acceptedAt: null, revokedAt: null };
  const mayInvite = inviter.isOperator
    ? sql`not ${hasOwner(accountId)}`
    : sql`(${role} <> 'owner' or ${isOwner({ accountId, byPersonId: inviter.personId })})`;
  const [created] = await db.write("create the invitation", (orm) => [
    orm.insert(invitations).select(
      sql`${selectRows(invitations, [row])} and ${mayInvite}
        and ${countOpen(accountId, createdAt)} < ${openInvitationsMax}`,
    ),
    ...(inviter.isOperator ? [revokeOwners(orm, invitation)] : []),
  ]);
  return created === 1;
}

/** Revokes the other invitations of owners, where this one was stored. */
function revokeOwners(orm: Orm, { id, accountId, createdAt }: NewInvitation): Statement {
  return orm
    .update(invitations)
    .set({ revokedAt: createdAt })
    .where(
      and(
        eq(invitations.accountId, accountId),
        eq(invitations.role, "owner"),
        ne(invitations.id, id),
        isNull(invitations.acceptedAt),
        isNull(invitations.revokedAt),
        sql`exists (select 1 from invitations as i where i.id = ${id})`,
      ),
    );
}

export async function countOpenInvitations(
  db: Database,
  accountId: string,
  nowMs: number,
): Promise<number> {
  const rows = await db.read("count the invitations", (orm) =>
    orm.all<{ open: bigint }>(sql`select ${countOpen(accountId, nowMs)} as open`),
  );
  return Number(rows[0]?.open ?? 0n);
}

/** The invitations of an account, newest first, the used and revoked ones too. */
export async function listInvitations(
  db: Database,
  query: PageRequest & { readonly accountId: string },
): Promise<Page<Invitation>> {
  const after = decodeCursor(timeCursorSchema, query.cursor);
  const order = { time: invitations.createdAt, id: invitations.id };
  const rows = await db.read("list the invitations", (orm) =>
    orm
      .select(summaryColumns)
      .from(invitations)
      .where(and(eq(invitations.accountId, query.accountId), beforeInTime(order, after)))
      .orderBy(...newestFirst(order))
      .limit(query.limit + 1),
  );
  return toPage(rows, query.limit, (row) => [row.createdAt, row.id]);
}

/** Revokes an invitation, once; an accepted one stays accepted. False where there is none such. */
export async function revokeInvitation(
  db: Database,
  key: { readonly accountId: string; readonly id: string; readonly atMs: number },
): Promise<boolean> {
  const at = sql.param(key.atMs, invitations.revokedAt);
  const [found] = await db.write("revoke the invitation", (orm) => [
    orm
      .update(invitations)
      .set({ revokedAt: sql`coalesce(${invitations.revokedAt}, ${at})` })
      .where(and(eq(invitations.id, key.id), eq(invitations.accountId, key.accountId))),
  ]);
  return found === 1;
}

export interface Acceptance {
  readonly id: string;
  readonly secretHash: string;
  readonly personId: string;
  readonly nowMs: number;
}

/**
 * Makes a person a member by an invitation that is open, and closes it, in one transaction: of many
 * who hold it one gets in. Nobody who is a member already uses it up.
 */
export async function acceptInvitation(db: Database, acceptance: Acceptance): Promise<boolean> {
  const { personId, nowMs } = acceptance;
  const joinedAt = sql.param(nowMs, members.createdAt);
  const [joined] = await db.write("accept the invitation", (orm) => [
    orm
      .insert(members)
      .select(
        sql`select ${invitations.accountId}, ${personId}, ${invitations.role},
          ${joinedAt}, ${invitations.invitedBy} from ${invitations}
          where ${isOpenTo(acceptance)}`,
      )
      .onConflictDoNothing(),
    // Where the times agree, the member is the one of the statement above; one of before, who does
    // not use an invitation up, has another.
    orm
      .update(invitations)
      .set({ acceptedBy: personId, acceptedAt: nowMs })
      .where(
        and(
          isOpenTo(acceptance),
          sql`exists (select 1 from members as m where m.account_id = ${invitations.accountId}
            and m.person_id = ${personId} and m.created_at = ${joinedAt})`,
        ),
      ),
  ]);
  return joined === 1;
}

/** The open invitation with this secret. */
export async function findOpenInvitation(
  db: Database,
  acceptance: Acceptance,
): Promise<Invitation | null> {
  const rows = await db.read("find the invitation", (orm) =>
    orm.select(summaryColumns).from(invitations).where(isOpenTo(acceptance)),
  );
  return rows[0] ?? null;
}

function isOpenTo({ id, secretHash, nowMs }: Acceptance): SQL | undefined {
  return and(
    eq(invitations.id, id),
    eq(invitations.secretHash, secretHash),
    isNull(invitations.acceptedAt),
    isNull(invitations.revokedAt),
    gt(invitations.expiresAt, nowMs),
  );
}

function countOpen(accountId: string, nowMs: number): SQL {
  return sql`(select count(*) from invitations as i where i.account_id = ${accountId}
    and i.accepted_at is null and i.revoked_at is null
    and i.expires_at > ${sql.param(nowMs, invitations.expiresAt)})`;
}
