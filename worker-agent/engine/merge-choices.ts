/**
 * The items of all `sources` in the order they arrive, and their results in the order of the
 * sources. However it ends (a failure, a consumer that leaves), every source is closed first;
 * `stop` must make a waiting one return.
 */
export async function* mergeChoices<Item, Result>(
  sources: readonly AsyncGenerator<Item, Result, void>[],
  stop: () => void,
): AsyncGenerator<Item, Result[], void> {
  const results: Result[] = [];
  const [only] = sources;
  if (sources.length === 1 && only !== undefined) return [yield* only];
  const pull = async (index: number, source: AsyncGenerator<Item, Result, void>) => ({
    index,
    source,
    next: await source.next(),
  });
  const pending = new Map(sources.map((source, index) => [index, pull(index, source)]));
  try {
    while (pending.size > 0) {
      const { index, source, next } = await Promise.race(pending.values());
      if (next.done === true) {
        results[index] = next.value;
        pending.delete(index);
      } else {
        pending.set(index, pull(index, source));
        yield next.value;
      }
    }
    return results;
  } finally {
    stop();
    // A pull still under way may fail too; the first failure is the one thrown.
    await Promise.allSettled(pending.values());
    await Promise.allSettled(sources.map((source) => source.return(undefined as never)));
  }
}
