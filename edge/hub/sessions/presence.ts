import type { Env } from "../../env.ts";
import type { Session, SessionRecord } from "../hub-state.ts";
import { Registrar, type ToldHub } from "./registrar.ts";
import { SessionStore, type StoredSession } from "./session-store.ts";
import { emptyMemory, type WorkerMemory } from "./worker-memory.ts";

/** A worker that is away for longer is a new one. */
const memoryMs = 7 * 24 * 60 * 60_000;

/**
 * Who is here: kept in storage for a hub that sleeps or dies, and told to the registry and the
 * directory.
 */
export class Presence {
  readonly #store: SessionStore;
  readonly #registrar: Registrar;
  readonly #agents = new Map<string, string>();

  constructor(ctx: DurableObjectState, env: Env, hub: ToldHub) {
    this.#store = new SessionStore(ctx.storage.sql);
    this.#store.forgetBefore(Date.now() - memoryMs);
    this.#registrar = new Registrar(env, hub, this.#store);
  }

  /** The stored sessions whose socket is still here; the others' workers have left meanwhile. */
  restore(isHere: (sessionId: string) => boolean): SessionRecord[] {
    const here: SessionRecord[] = [];
    const all = this.#store.all();
    for (const stored of all) {
      const { agent, slots, ...session } = stored;
      if (isHere(stored.id)) {
        this.#agents.set(stored.id, agent);
        // A hub sleeps only while nothing runs, so every slot is free.
        here.push({ ...session, credits: slots, memory: this.memoryOf(stored.workerId) });
      } else this.#depart(stored, Date.now());
    }
    // A hub that was reset: what the directory last heard of it is no longer so.
    if (here.length < all.length) this.digestChanged(Date.now());
    return here;
  }

  arrived(sessionId: string, agent: string): void {
    this.#agents.set(sessionId, agent);
  }

  /** What is known of a worker from before. */
  memoryOf(workerId: string): WorkerMemory {
    return this.#store.memoryOf(workerId) ?? emptyMemory();
  }

  listed(session: Session): void {
    const stored = this.#toStored(session);
    this.#store.save(stored);
    this.#tell(stored, session.memory);
  }

  measured(session: Session): void {
    this.#tell(this.#toStored(session), session.memory);
  }

  #tell(stored: StoredSession, memory: WorkerMemory): void {
    this.#store.remember(stored.workerId, memory, Date.now());
    this.#registrar.workerChanged({ ...stored, speeds: memory.speeds });
  }

  #toStored(session: Session): StoredSession {
    const { modelsByAttempt: _, memory: __, measuredMs: ___, probedLast: ____, ...rest } = session;
    const { facts: _____, ...plain } = rest;
    const { listings, vetting } = session;
    const claims = [...listings, ...vetting.claims.map(({ listing }) => listing)];
    const slots = Math.max(0, ...claims.map((listing) => listing.slots));
    return { ...plain, agent: this.#agents.get(session.id) ?? "", slots };
  }

  left(session: Session): void {
    this.#store.remember(session.workerId, session.memory, Date.now());
    this.#agents.delete(session.id);
    this.#depart(session, Date.now());
  }

  digestChanged(nowMs: number): void {
    this.#registrar.digestChanged(nowMs);
  }

  #depart(session: Pick<Session, "id" | "workerId" | "epoch">, atMs: number): void {
    this.#store.remove(session.id);
    this.#store.addDeparture({ workerId: session.workerId, epoch: session.epoch, atMs });
    this.#registrar.workerLeft(session);
  }
}
