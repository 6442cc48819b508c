/**
 * The object's alarm goes off then, or earlier; now, if that is over. An alarm costs a row, so one
 * that is soon enough stays where it is.
 */
export async function wakeBy(storage: DurableObjectStorage, wantedMs: number): Promise<void> {
  // The platform refuses a time of 0, when what an account earned before there were lots is due.
  const atMs = Math.max(wantedMs, Date.now());
  const setMs = await storage.getAlarm();
  if (setMs === null || setMs > atMs) await storage.setAlarm(atMs);
}
