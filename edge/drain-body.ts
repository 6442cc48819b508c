/** Sixteen times what is allowed: whoever sends more has not just misjudged a picture. */
const drainBytesMax = 64 * 1024 * 1024;
/** As long as such a body takes at 50 Mbit/s. */
const drainMs = 10_000;

/**
 * Reads what is left of a body that was refused, and forgets it. The runtime closes a connection
 * whose body nobody read (all over 64 KiB, workerd 2026-11), and a client that is still sending
 * then never sees why.
 */
export async function drainBody(request: Request): Promise<void> {
  const { body } = request;
  if (body === null || body.locked) return;
  const reader = body.getReader();
  const timer = setTimeout(() => void reader.cancel().catch(() => undefined), drainMs);
  try {
    for (let bytes = 0; bytes <= drainBytesMax;) {
      const { done, value } = await reader.read();
      if (done) return;
      bytes += value.byteLength;
    }
  } catch {
    // The client left, and needs no answer.
  } finally {
    clearTimeout(timer);
  }
}
