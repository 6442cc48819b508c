/** Whoever has one address of IPv6 has the 2^64 of its network; one of IPv4 is by itself. */
export function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const [head = "", tail = ""] = address.toLowerCase().split("::");
  const [first, last] = [head, tail].map((part) => (part === "" ? [] : part.split(":")));
  const [before, behind] = [first ?? [], last ?? []];
  const zeros = Array<string>(Math.max(0, 8 - before.length - behind.length)).fill("0");
  return [...before, ...zeros, ...behind].slice(0, 4).join(":");
}
