/** Waits until `condition` gives something, or fails with what was waited for. */
export async function until<Value>(
  waitedFor: string,
  condition: () => Value | Promise<Value>,
  withinMs = 10_000,
): Promise<NonNullable<Exclude<Value, false>>> {
  const endMs = performance.now() + withinMs;
  while (performance.now() < endMs) {
    const value = await condition();
    if (value !== null && value !== undefined && value !== false) {
      return value as NonNullable<Exclude<Value, false>>;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`Waited ${withinMs} ms in vain until ${waitedFor}`);
}
