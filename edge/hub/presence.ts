import type { HubDigest } from "../directory/digest.ts";
import type { Env } from "../env.ts";
import type { Session } from "./hub-state.ts";
import { Registrar } from "./registrar.ts";
import { SessionStore, type StoredSession } from "./session-store.ts";
import type { Region } from "../../shared/regions.ts";

/**
 * Who is here: kept in storage for a hub that sleeps or dies, and told to the registry and the
 * directory.
 */
export class Presence {
  readonly #store: SessionStore;
  readonly #registrar: Registrar;
  readonly #agents = new Map<string, string>();

  constructor(
    ctx: DurableObjectState,
    env: Env,
    hub: { readonly id: string; readonly region: Region },
    digest: () => HubDigest,
  ) {
    this.#store = new SessionStore(ctx.storage.sql);
    this.#registrar = new Registrar(env, hub, this.#store, digest);
  }

  /** The stored sessions whose socket is still here; the others' workers have left meanwhile. */
  restore(isHere: (sessionId: string) => boolean): Omit<Session, "modelsByAttempt">[] {
    const here: Omit<Session, "modelsByAttempt">[] = [];
    for (const stored of this.#store.all()) {
      const { agent, slots, ...session } = stored;
      if (isHere(stored.id)) {
        this.#agents.set(stored.id, agent);
        // A hub sleeps only while nothing runs, so every slot is free.
        here.push({ ...session, credits: slots });
      } else this.#depart(stored, Date.now());
    }
    return here;
  }

  arrived(sessionId: string, agent: string): void {
    this.#agents.set(sessionId, agent);
  }

  listed(session: Session): void {
    const { modelsByAttempt: _, ...plain } = session;
    const slots = Math.max(0, ...session.listings.map((listing) => listing.slots));
    const agent = this.#agents.get(session.id) ?? "";
    const stored: StoredSession = { ...plain, agent, slots };
    this.#store.save(stored);
    this.#registrar.workerChanged(stored);
  }

  left(session: Session): void {
    this.#agents.delete(session.id);
    this.#depart(session, Date.now());
  }

  digestChanged(nowMs: number): void {
    this.#registrar.digestChanged(nowMs);
  }

  #depart(session: Omit<Session, "modelsByAttempt">, atMs: number): void {
    this.#store.remove(session.id);
    this.#store.addDeparture({ workerId: session.workerId, epoch: session.epoch, atMs });
    this.#registrar.workerLeft(session);
  }
}
