/**
 * Internet addresses and blocks of them (CIDR, RFC 4632 and RFC 4291 section 2.3). An IPv4 address
 * that is written as an IPv6 one (`::ffff:192.0.2.1`) is that IPv4 address: it matters who calls,
 * not which socket took the call.
 */
export interface Address {
  readonly bits: 32 | 128;
  readonly value: bigint;
}

/** All addresses that begin with the first `prefix` bits of `network`. */
export interface AddressBlock {
  readonly network: Address;
  readonly prefix: number;
}

/** `::ffff:0:0/96` holds the IPv4 addresses. */
const mappedPrefix = 0xffffn;

/** The address that a text names in full, or null: no zone, no port, no leading zeros. */
export function parseAddress(text: string): Address | null {
  const four = parseFour(text);
  if (four !== null) return { bits: 32, value: four };
  const six = parseSix(text);
  if (six === null) return null;
  if (six >> 32n === mappedPrefix) return { bits: 32, value: six & 0xffffffffn };
  return { bits: 128, value: six };
}

/**
 * The block that `address/prefix` names, an address alone being a block of one; null where it is
 * neither, and where bits beyond the prefix are set: that is a block somebody did not mean.
 */
export function parseAddressBlock(text: string): AddressBlock | null {
  const [, addressText = "", prefixText] = /^([^/]+)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text) ?? [];
  const network = parseAddress(addressText);
  if (network === null) return null;
  const isMapped = network.bits === 32 && addressText.includes(":");
  const written = prefixText === undefined ? (isMapped ? 128 : network.bits) : Number(prefixText);
  const prefix = isMapped ? written - 96 : written;
  if (prefix < 0 || prefix > network.bits) return null;
  const block = { network, prefix };
  return network.value === firstOf(block, network.value) ? block : null;
}

/** Whether the address is one of the block's; IPv6 blocks hold no IPv4 address. */
export function isInBlock(address: Address, block: AddressBlock): boolean {
  return (
    address.bits === block.network.bits && firstOf(block, address.value) === block.network.value
  );
}

/** Whether all addresses of a block are in another. */
export function isBlockWithin(inner: AddressBlock, outer: AddressBlock): boolean {
  return inner.prefix >= outer.prefix && isInBlock(inner.network, outer);
}

/** The value with all bits beyond the prefix off. */
function firstOf({ network, prefix }: AddressBlock, value: bigint): bigint {
  const rest = BigInt(network.bits - prefix);
  return (value >> rest) << rest;
}

function parseFour(text: string): bigint | null {
  if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(text)) return null;
  let value = 0n;
  for (const part of text.split(".")) {
    // Some readers take a leading zero for octal: such an address has two meanings.
    if (Number(part) > 255 || (part.length > 1 && part.startsWith("0"))) return null;
    value = (value << 8n) | BigInt(part);
  }
  return value;
}

function parseSix(text: string): bigint | null {
  if (text.length > 45 || !text.includes(":")) return null;
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const [head = "", tail] = halves;
  const before = groupsOf(head, tail === undefined);
  const after = tail === undefined ? [] : groupsOf(tail, true);
  if (before === null || after === null) return null;
  const missing = 8 - before.length - after.length;
  // `::` stands for one group of zeros at least.
  if (tail === undefined ? missing !== 0 : missing < 1) return null;
  const groups = [...before, ...Array.from({ length: missing }, () => 0), ...after];
  return groups.reduce((value, group) => (value << 16n) | BigInt(group), 0n);
}

/** Groups of 16 bits; the last two may be written as an IPv4 address at the end of the whole. */
function groupsOf(text: string, isEnd: boolean): number[] | null {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [at, part] of parts.entries()) {
    const four = isEnd && at === parts.length - 1 ? parseFour(part) : null;
    if (four !== null) groups.push(Number(four >> 16n), Number(four & 0xffffn));
    else if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(Number.parseInt(part, 16));
    else return null;
  }
  return groups;
}
