/** Does one thing for each of a list, so many at a time, begun in order; gives what each gave. */
export async function atOnce<One, Made>(
  list: readonly One[],
  most: number,
  make: (one: One, number: number) => Promise<Made>,
): Promise<Made[]> {
  const made: Made[] = [];
  const left = list.entries();
  const lane = async () => {
    // All lanes draw from the same iterator: each entry is taken once.
    for (const [number, one] of left) made[number] = await make(one, number);
  };
  await Promise.all(Array.from({ length: most }, lane));
  return made;
}
